//! A strict reader of one JSON object (RFC 8259). It refuses what I-JSON (RFC 7493) forbids:
//! duplicate members at any depth, trailing data, invalid UTF-8 and lone surrogates. serde_json
//! limits the nesting to 128 levels.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroize as _;

/// The members of an object.
pub type Members = BTreeMap<String, Value>;

/// A JSON value, reduced to what latchkey needs. Other values are checked and then dropped.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    /// A list that contains only strings. It may be empty.
    Texts(Vec<String>),
    Flag(bool),
    Null,
    Object(Members),
    /// A number, or a list that contains something else than strings.
    Other,
}

/// Prints only the kind of the value, because a value is perhaps a secret.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(…)",
            Self::Texts(_) => "Texts(…)",
            Self::Flag(_) => "Flag(…)",
            Self::Null => "Null",
            Self::Object(_) => "Object(…)",
            Self::Other => "Other",
        })
    }
}

/// Why bytes are not one JSON object. It never quotes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    NotUtf8,
    /// The position of the first error.
    Malformed {
        line: usize,
        column: usize,
    },
}

/// Reads one object that fills `bytes`.
pub fn object(bytes: &[u8]) -> Result<Members, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    // serde_json may quote the input in its message, so only the position is kept.
    let read = serde_json::from_str(text);
    let Root(members) = read.map_err(|error: serde_json::Error| JsonError::Malformed {
        line: error.line(),
        column: error.column(),
    })?;
    Ok(members)
}

/// Overwrites all texts in memory.
pub fn wipe(members: &mut Members) {
    for value in members.values_mut() {
        match value {
            Value::Text(text) => text.zeroize(),
            Value::Texts(texts) => texts.zeroize(),
            Value::Object(members) => wipe(members),
            Value::Flag(_) | Value::Null | Value::Other => {}
        }
    }
}

/// The root. It must be an object.
struct Root(Members);

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnObject;
        impl<'de> Visitor<'de> for AnObject {
            type Value = Root;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Root, A::Error> {
                members(map).map(Root)
            }
        }
        deserializer.deserialize_map(AnObject)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
                Ok(Value::Flag(flag))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let (mut texts, mut others) = (Vec::new(), false);
                while let Some(element) = seq.next_element::<Value>()? {
                    match element {
                        Value::Text(text) => texts.push(text),
                        _ => others = true,
                    }
                }
                Ok(if others { Value::Other } else { Value::Texts(texts) })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
                members(map).map(Value::Object)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn members<'de, A: MapAccess<'de>>(mut map: A) -> Result<Members, A::Error> {
    let mut members = Members::new();
    while let Some((name, value)) = map.next_entry::<String, Value>()? {
        if members.insert(name, value).is_some() {
            return Err(de::Error::custom("duplicate member"));
        }
    }
    Ok(members)
}
