//! The values of settings, with secrets redacted.

use super::kind::{Kind, Value};
use super::layers::Values;
use super::setting::Setting;
use super::source::Source;
use super::text::show_duration;
use super::url::redacted;
use crate::secret::redact;

/// The text that replaces a secret.
pub const BLANK: &str = "***";

/// One setting with its value and its source. Secrets are redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub key: &'static str,
    /// The value, in the form of a configuration file. Null if there is none.
    pub value: serde_json::Value,
    pub source: Source,
}

pub fn show(setting: &Setting, values: &Values) -> Shown {
    let value = values.get(setting.key).map_or(serde_json::Value::Null, |value| {
        match (setting.kind, value) {
            (Kind::SecretUrl(_), Value::Text(text)) => redacted(text).into(),
            (kind, Value::List(items)) if kind.is_secret() => vec![BLANK; items.len()].into(),
            (kind, _) if kind.is_secret() => BLANK.into(),
            (Kind::Fraction, Value::Text(text)) => text.parse::<f64>().unwrap_or_default().into(),
            // A text may contain a URL with a password.
            (_, Value::Text(text)) => redact(text).into(),
            (_, value) => json(value),
        }
    });
    Shown { key: setting.key, value, source: values.source(setting.key) }
}

/// A value, in the form of a configuration file.
pub fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Address(address) => address.to_string().into(),
        Value::Text(text) => text.clone().into(),
        Value::Word(word) => (*word).into(),
        Value::Duration(duration) => {
            show_duration(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)).into()
        }
        Value::Bool(on) => (*on).into(),
        Value::Integer(number) => (*number).into(),
        Value::List(items) => items.clone().into(),
        Value::Key(_) => BLANK.into(),
    }
}
