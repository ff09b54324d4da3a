//! Examples of values. If a schema gives no example, the example is a realistic value.

use serde_json::{Map, Value, json};

use super::schema::{DEPTH_MAX, parts, resolve};
use super::{items, members, slug, text};

/// Examples for strings whose schema gives no example, by the name of the JSON member. The API
/// accepts a copied command with these examples.
const KNOWN: [(&str, &str); 6] = [
    ("email", "ada@example.com"),
    ("name", "Ada"),
    ("password", "correct horse battery"),
    ("newPassword", "nine lives of a cat"),
    ("role", "member"),
    ("code", "123456"),
];

/// Examples of bodies for which the members of the schema are no good example, by the reference to
/// the schema.
fn of_schema(reference: &str) -> Option<Value> {
    match reference {
        "#/components/schemas/StepUp" => Some(json!({ "method": "totp", "code": "123456" })),
        // The challenge is optional, and most clients send none.
        "#/components/schemas/LoginPasskeyOptions" => Some(json!({})),
        _ => None,
    }
}

/// Examples by format (JSON Schema 2020-12 §7.3).
const FORMATS: [(&str, &str); 4] = [
    ("email", "ada@example.com"),
    ("uuid", "0199d2f0-3c5e-7a10-8f00-5d2f6a1b9c33"),
    ("date-time", "2026-11-23T21:25:00Z"),
    ("uri", "https://example.com"),
];

/// The example that the schema itself gives.
pub(super) fn given(schema: &Value) -> Option<&Value> {
    schema
        .get("example")
        .or_else(|| items(&schema["examples"]).next())
        .or_else(|| schema.get("const"))
        .or_else(|| schema.get("default"))
        .or_else(|| items(&schema["enum"]).next())
}

/// The example of a body. It is the example that the document gives, otherwise one that is built
/// from the schema.
pub(super) fn of_content(document: &Value, content: &Value) -> Value {
    content
        .get("example")
        .or_else(|| members(&content["examples"]).next().map(|(_, example)| &example["value"]))
        .cloned()
        .or_else(|| of_schema(text(&content["schema"], "$ref")))
        .unwrap_or_else(|| made(document, "", &content["schema"], 0))
}

/// The example of a parameter. It is the example that the parameter gives, otherwise the example
/// that its schema gives, otherwise one for the name of the parameter.
pub(super) fn of_parameter(document: &Value, parameter: &Value, name: &str) -> String {
    let schema = resolve(document, &parameter["schema"]);
    match parameter.get("example").or_else(|| given(schema)) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => word(name, &Value::Null),
    }
}

/// JSON with line breaks and indentation.
pub(super) fn pretty(example: &Value) -> String {
    serde_json::to_string_pretty(example).unwrap_or_default()
}

fn made(document: &Value, name: &str, schema: &Value, depth: usize) -> Value {
    let schema = resolve(document, schema);
    if let Some(given) = given(schema) {
        return given.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or_default();
    match kind {
        "string" => json!(word(name, schema)),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(true),
        "array" if depth < DEPTH_MAX => json!([made(document, name, &schema["items"], depth + 1)]),
        "array" => json!([]),
        _ => Value::Object(made_object(document, schema, depth)),
    }
}

/// An object with its required members. If the schema has no list of required members, the object
/// has all members.
fn made_object(document: &Value, schema: &Value, depth: usize) -> Map<String, Value> {
    let mut object = Map::new();
    if depth >= DEPTH_MAX {
        return object;
    }
    for part in parts(document, schema, 0) {
        let needed = |name: &str| items(&part["required"]).any(|required| required == name);
        for (name, member) in members(&part["properties"]) {
            if needed(name) || !part["required"].is_array() {
                object.entry(name).or_insert_with(|| made(document, name, member, depth + 1));
            }
        }
    }
    object
}

/// The example for a string with this name. It is the example for the format of the string,
/// otherwise a known example for the name, otherwise the name in capitals.
fn word(name: &str, schema: &Value) -> String {
    let find = |table: &[(&str, &str)], key: &str| {
        table.iter().find(|(known, _)| *known == key).map(|(_, word)| (*word).to_owned())
    };
    find(&FORMATS, text(schema, "format"))
        .or_else(|| find(&KNOWN, name))
        .unwrap_or_else(|| if name.is_empty() { "text".to_owned() } else { capitals(name) })
}

/// Writes a name as a shell variable. For example, `userToken` becomes `USER_TOKEN`.
pub(super) fn capitals(name: &str) -> String {
    let mut spaced = String::with_capacity(name.len() + 4);
    for char in name.chars() {
        if char.is_ascii_uppercase() && spaced.ends_with(|last: char| last.is_ascii_lowercase()) {
            spaced.push(' ');
        }
        spaced.push(char);
    }
    slug(&[&spaced]).replace('-', "_").to_ascii_uppercase()
}
