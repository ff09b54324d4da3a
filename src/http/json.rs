//! Strict reading of a body as one JSON object.
//!
//! There are two steps, because their errors have different statuses. In the first step,
//! [`Object::parse`] reads JSON with [`crate::strict_json`]. An error in this step is a 400.
//!
//! In the second step, a handler takes the members that it needs with [`Object::text`] and similar
//! methods. These methods collect all broken rules for one 422. Members that no handler takes are
//! ignored.

use std::fmt;

use crate::problem::{Code, FieldError, Problem};
use crate::strict_json::{self, JsonError, Members, Value};

/// The members of a request's body, and the rules that they have broken so far.
#[derive(Default)]
pub struct Object {
    members: Members,
    errors: Vec<FieldError>,
}

impl Object {
    /// Reads one object from `bytes`.
    ///
    /// # Errors
    /// [`Code::MalformedRequest`] if the bytes are not UTF-8, are not exactly one JSON object, or
    /// contain duplicate members.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let malformed = |detail: &str| Problem::new(Code::MalformedRequest).detail(detail);
        if bytes.is_empty() {
            return Err(malformed("The body is empty. Send one JSON object."));
        }
        let members = strict_json::object(bytes).map_err(|error| match error {
            JsonError::NotUtf8 => malformed("The body is not UTF-8."),
            JsonError::Malformed { line, column } => malformed(&format!(
                "The body must be one JSON object without duplicate members. The first error is in line {line}, column {column}."
            )),
        })?;
        Ok(Self { members, errors: Vec::new() })
    }

    /// Takes a required member that is a string. If the member is missing or has another type,
    /// records the error and returns none.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        match self.members.remove(name) {
            Some(Value::Text(text)) => return Some(text),
            Some(_) => {
                self.reject(name, "type", format_args!("`{name}` must be a string."));
            }
            None => self.reject(name, "required", format_args!("`{name}` is required.")),
        }
        None
    }

    /// Whether a member is present and not null.
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !matches!(value, Value::Null))
    }

    /// Takes a required member that is a list of strings. If the member is missing or has another
    /// type, records the error and returns none.
    pub fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        match self.members.remove(name) {
            Some(Value::Texts(texts)) => return Some(texts),
            Some(_) => {
                self.reject(name, "type", format_args!("`{name}` must be a list of strings."));
            }
            None => self.reject(name, "required", format_args!("`{name}` is required.")),
        }
        None
    }

    /// Takes a required member that is an object. If the member is missing or has another type,
    /// records the error and returns none.
    pub fn object(&mut self, name: &'static str) -> Option<Members> {
        match self.members.remove(name) {
            Some(Value::Object(members)) => return Some(members),
            Some(_) => self.reject(name, "type", format_args!("`{name}` must be an object.")),
            None => self.reject(name, "required", format_args!("`{name}` is required.")),
        }
        None
    }

    /// Takes a required member that is true or false. If the member is missing or has another type,
    /// records the error and returns none.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.members.remove(name) {
            Some(Value::Flag(flag)) => return Some(flag),
            Some(_) => {
                self.reject(name, "type", format_args!("`{name}` must be true or false."));
            }
            None => self.reject(name, "required", format_args!("`{name}` is required.")),
        }
        None
    }

    /// Records that a member breaks a rule. Only the first error of each member is kept.
    pub fn reject(&mut self, name: &str, code: &'static str, rule: impl fmt::Display) {
        let pointer = format!("/{name}");
        if !self.errors.iter().any(|error| error.pointer == pointer) {
            self.errors.push(FieldError { pointer, code, detail: rule.to_string() });
        }
    }

    /// Returns the parsed value. If there is none, records the rule that the member breaks.
    pub fn check<T, E: Rule>(&mut self, name: &'static str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|rule| self.reject(name, rule.code(), rule)).ok()
    }

    /// Ends the reading of the body.
    ///
    /// # Errors
    /// [`Code::ValidationFailed`] with all broken rules.
    pub fn finish(&mut self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(Problem::validation(std::mem::take(&mut self.errors)))
    }
}

/// Prints only the names of the members, because a value is perhaps a password.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.keys()).finish()
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        strict_json::wipe(&mut self.members);
    }
}

/// A rule that a member can break. `Display` gives a sentence for the user who typed the value.
pub trait Rule: fmt::Display {
    /// The stable name of the rule, in `errors[].code` of a 422.
    fn code(&self) -> &'static str;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(bytes: &[u8]) -> Option<Code> {
        Object::parse(bytes).err().map(|problem| problem.code)
    }

    #[test]
    fn one_object_is_read() {
        let mut object =
            Object::parse(br#"{"email":"a@b.c","extra":{"deep":[1,null,true,1.5]}}"#).unwrap();
        assert_eq!(object.text("email").as_deref(), Some("a@b.c"));
        object.finish().unwrap();
    }

    #[test]
    fn everything_else_is_malformed() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
        let cases: [&[u8]; 14] = [
            b"",
            b"null",
            b"[]",
            b"\"x\"",
            b"{",
            b"{}{}",
            b"{} x",
            br#"{"a":1,"a":2}"#,
            br#"{"x":{"a":1,"a":2}}"#,
            br#"{"x":[{"a":1,"a":2}]}"#,
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\0\"}",
            br#"{"a":"\ud800"}"#,
            deep.as_bytes(),
        ];
        for bytes in cases {
            assert_eq!(
                code(bytes),
                Some(Code::MalformedRequest),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn every_broken_rule_is_told_at_once() {
        let mut object = Object::parse(br#"{"email":1,"name":null}"#).unwrap();
        let _ = (object.text("email"), object.text("password"), object.text("name"));
        let problem = object.finish().unwrap_err();
        let told: Vec<_> =
            problem.errors.iter().map(|error| (error.pointer.as_str(), error.code)).collect();
        assert_eq!(told, [("/email", "type"), ("/password", "required"), ("/name", "type")]);
    }

    #[test]
    fn null_is_as_good_as_missing() {
        let object = Object::parse(br#"{"a":null,"b":"x","c":1}"#).unwrap();
        assert!(!object.has("a") && object.has("b") && object.has("c") && !object.has("d"));
    }

    #[test]
    fn what_is_printed_of_a_body_has_no_values() {
        let object = Object::parse(br#"{"password":"hunter2","more":["hunter2"]}"#).unwrap();
        assert_eq!(format!("{object:?}"), r#"["more", "password"]"#);
    }

    #[test]
    fn a_list_is_of_strings_alone() {
        let mut object = Object::parse(br#"{"a":["x","y"],"b":[],"c":["x",1],"d":"x"}"#).unwrap();
        assert_eq!(object.texts("a").unwrap(), ["x", "y"]);
        assert!(object.texts("b").unwrap().is_empty());
        object.finish().unwrap();
        for name in ["c", "d", "e"] {
            assert!(object.texts(name).is_none());
        }
        let told = object.finish().unwrap_err().errors;
        let codes: Vec<_> = told.iter().map(|error| error.code).collect();
        assert_eq!(codes, ["type", "type", "required"]);
    }

    #[test]
    fn an_error_never_quotes_the_body() {
        let problem = Object::parse(br#"{"password":"hunter2", oops}"#).unwrap_err();
        assert!(!problem.detail.unwrap().contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = Object::parse(&bytes);
        }

        #[test]
        fn any_text_comes_back_as_it_was_sent(text in any::<String>()) {
            let body = serde_json::to_vec(&serde_json::json!({ "a": text })).unwrap();
            prop_assert_eq!(Object::parse(&body).unwrap().text("a"), Some(text));
        }
    }
}
