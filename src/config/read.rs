//! Conversion of setting values to the types of their fields.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::kind::{Value, network};
use super::layers::Values;
use super::{IntrospectionClient, Pepper, text};
use crate::secret::{MasterKey, Secret};

/// A type that a setting can have. The kind of a setting fits its type, so that the conversion
/// succeeds.
pub trait FromValue: Sized {
    fn from_value(value: &Value) -> Option<Self>;
}

/// A type that an item of a list can have.
pub trait FromItem: Sized {
    fn from_item(item: &str) -> Option<Self>;
}

/// The type of a field: a required value, an optional value or a list.
pub trait Field: Sized {
    fn field(value: Option<&Value>) -> Option<Self>;
}

impl<T: FromValue> Field for T {
    fn field(value: Option<&Value>) -> Option<Self> {
        T::from_value(value?)
    }
}

impl<T: FromValue> Field for Option<T> {
    fn field(value: Option<&Value>) -> Option<Self> {
        match value {
            None => Some(None),
            Some(value) => T::from_value(value).map(Some),
        }
    }
}

impl Values {
    /// The value as the type of the field. `None` if a required value is missing or was refused.
    pub fn read<T: Field>(&self, key: &str) -> Option<T> {
        T::field(self.get(key))
    }

    /// The value of a setting whose kind is stored as text.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a setting that accepts one word of a list.
    pub fn word(&self, key: &str) -> Option<&'static str> {
        match self.get(key)? {
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn list(&self, key: &str) -> Option<&[String]> {
        match self.get(key)? {
            Value::List(items) => Some(items),
            _ => None,
        }
    }
}

/// Implements [`FromValue`] for the types of single values.
macro_rules! from_value {
    ($($pattern:pat => $type:ty: $converted:expr;)+) => {$(
        impl FromValue for $type {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    $pattern => $converted,
                    _ => None,
                }
            }
        }
    )+};
}

from_value! {
    Value::Address(address) => SocketAddr: Some(*address);
    Value::Bool(on) => bool: Some(*on);
    Value::Duration(duration) => Duration: Some(*duration);
    Value::Integer(number) => u32: u32::try_from(*number).ok();
    Value::Integer(number) => u64: Some(*number);
    Value::Integer(number) => usize: usize::try_from(*number).ok();
    Value::Key(bytes) => MasterKey: Some(MasterKey::new(*bytes));
    Value::Text(text) => String: Some(text.clone());
    Value::Text(text) => PathBuf: Some(text.into());
    Value::Text(text) => f64: text.parse().ok();
    Value::Text(text) => Secret<String>: Some(Secret::new(text.clone()));
    Value::Text(text) => Pepper: Pepper::from_item(text);
}

/// A list that has no value is empty.
impl<T: FromItem> Field for Vec<T> {
    fn field(value: Option<&Value>) -> Option<Self> {
        match value {
            None => Some(Vec::new()),
            Some(Value::List(items)) => items.iter().map(|item| T::from_item(item)).collect(),
            Some(_) => None,
        }
    }
}

impl FromItem for String {
    fn from_item(item: &str) -> Option<Self> {
        Some(item.to_owned())
    }
}

impl FromItem for IpNet {
    fn from_item(item: &str) -> Option<Self> {
        network(item)
    }
}

impl FromItem for Pepper {
    fn from_item(item: &str) -> Option<Self> {
        let (version, key) = text::pepper(item).ok()?;
        Some(Self { version, key: Secret::new(key) })
    }
}

/// Reads `id:secret`.
impl FromItem for IntrospectionClient {
    fn from_item(item: &str) -> Option<Self> {
        let (id, secret) = item.split_once(':')?;
        Some(Self { id: id.to_owned(), secret: Secret::new(secret.to_owned()) })
    }
}
