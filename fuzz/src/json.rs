//! The fuzz harness for request bodies: one strict JSON object.

use latchkey::http::json::Object;
use latchkey::problem::Code;
use serde_json::Value;

const NAMES: [&str; 6] = ["email", "password", "name", "token", "newPassword", "captcha"];

/// Checks that an accepted body has the same values for another JSON parser. A body that two
/// parsers could read differently must be refused, and the refusal must not quote it.
pub fn run(data: &[u8]) {
    let other = serde_json::from_slice::<Value>(data);
    match Object::parse(data) {
        Ok(mut object) => {
            let other = other.expect("what we read is JSON");
            assert!(other.is_object(), "what we read is an object");
            for name in NAMES {
                assert_eq!(object.has(name), !other[name].is_null());
                assert_eq!(object.text(name).as_deref(), other[name].as_str());
            }
            let _ = object.finish();
        }
        Err(problem) => {
            assert_eq!(problem.code, Code::MalformedRequest);
            let detail = problem.detail.unwrap_or_default();
            assert!(detail.starts_with("The body") && detail.is_ascii() && detail.len() < 120);
        }
    }
    // An object that serde_json wrote has no duplicate members and must be accepted. With its first
    // member repeated it must be refused.
    let Ok(Value::Object(members)) = serde_json::from_slice(data) else { return };
    let text = Value::Object(members.clone()).to_string();
    Object::parse(text.as_bytes()).expect("an object without duplicates");
    if let Some((name, value)) = members.iter().next() {
        let (name, rest) = (Value::from(name.as_str()), &text[1..]);
        assert!(Object::parse(format!("{{{name}:{value},{rest}").as_bytes()).is_err());
        assert!(Object::parse(format!("{{\"x\":[{{{name}:{value},{rest}]}}").as_bytes()).is_err());
        assert!(Object::parse(format!("{text}{text}").as_bytes()).is_err());
    }
}
