//! The fuzz harness for request bodies. A body must be one JSON object, which latchkey parses
//! strictly.

use latchkey::http::json::Object;
use latchkey::problem::Code;
use serde_json::Value;

const NAMES: [&str; 6] = ["email", "password", "name", "token", "newPassword", "captcha"];

/// Checks that another JSON parser reads the same values from an accepted body. If two parsers
/// could read a body differently, the body must be refused, and the error must not quote the body.
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
    // An object that serde_json wrote has no duplicate members, so it must be accepted. If its
    // first member is repeated, it must be refused.
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
