//! Reads JSON with the position of every key. serde_json does not report positions. So serde_json
//! only checks the text, and a walk over the text then finds the keys.

use serde_json::Value as Json;

use super::file::join;
use super::settings;
use super::source::Raw;

/// Calls `add` with every key that is not a section, its value, and the byte at which the key
/// starts.
///
/// A key that occurs twice is added twice. An error of serde_json contains the line and the column.
pub fn leaves(text: &str, add: &mut impl FnMut(String, Raw, usize)) -> Result<(), String> {
    // serde_json also limits the depth of the text. So the depth of the recursive walk is limited
    // too.
    match serde_json::from_str::<Json>(text) {
        Ok(Json::Object(_)) => {
            Walk { text, at: 0 }.object("", add);
            Ok(())
        }
        Ok(_) => Err("the root must be an object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A position in a text that is known to be JSON.
struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(b'}')
    }

    fn object(&mut self, prefix: &str, add: &mut impl FnMut(String, Raw, usize)) {
        self.peek();
        self.at += 1;
        while self.peek() != b'}' {
            let start = self.at;
            let key = serde_json::from_str::<String>(self.value()).unwrap_or_default();
            let key = join(prefix, &key);
            self.peek();
            self.at += 1;
            if self.peek() == b'{' && settings::find(&key).is_none() {
                self.object(&key, add);
            } else {
                let value = serde_json::from_str(self.value()).unwrap_or(Json::Null);
                add(key, raw(&value), start);
            }
            if self.peek() == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    /// Returns the text of the value at the current position, and moves the position behind this
    /// value.
    fn value(&mut self) -> &'a str {
        let start = self.at;
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        for byte in self.text.as_bytes()[start..].iter().copied() {
            if !in_string && depth == 0 && matches!(byte, b',' | b':' | b'}' | b']') {
                break;
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        &self.text[start..self.at]
    }
}

fn raw(value: &Json) -> Raw {
    match value {
        Json::Null => Raw::Other("null"),
        Json::Bool(on) => Raw::Bool(*on),
        Json::Number(number) if number.is_i64() || number.is_u64() => {
            Raw::Integer(number.to_string())
        }
        Json::Number(number) => Raw::Fraction(number.to_string()),
        Json::String(text) => Raw::Text(text.clone()),
        Json::Array(items) => Raw::List(items.iter().map(raw).collect()),
        Json::Object(_) => Raw::Other("an object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(String, Raw, usize)> {
        let mut found = Vec::new();
        leaves(text, &mut |key, raw, at| found.push((key, raw, at))).unwrap();
        found
    }

    #[test]
    fn every_key_is_found_with_its_place() {
        let text = r#"{ "a": {"b": "}\",{", "c":[1,"x",{"y":2}]} , "d" : -5,"e":{},"f":1.0,"a\u0062":true }"#;
        let found = all(text);
        let keys: Vec<_> = found.iter().map(|(key, ..)| key.as_str()).collect();
        assert_eq!(keys, ["a.b", "a.c", "d", "f", "ab"]);
        assert_eq!(found[0].1, Raw::Text("}\",{".to_owned()));
        assert_eq!(found[2].1, Raw::Integer("-5".to_owned()));
        assert_eq!(found[3].1, Raw::Fraction("1.0".to_owned()));
        assert!(found.iter().all(|(_, _, at)| text[*at..].starts_with('"')));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for wrong in ["", "[]", "{", "{} x", "null"] {
            assert!(leaves(wrong, &mut |_, _, _| {}).is_err(), "{wrong}");
        }
        let deep = "{\"a\":".repeat(100_000);
        assert!(leaves(&deep, &mut |_, _, _| {}).is_err());
    }
}
