//! JSON Schema as OpenAPI 3.1 has it, flattened to rows that a person reads.

use serde_json::{Map, Value, json};

use super::{items, members, text};
use crate::http::pages::words;

/// One member of an object, or one parameter; `description` is markup.
pub(super) struct Field {
    /// The path from the root, with dots, and `[]` behind an array.
    pub(super) name: String,
    pub(super) kind: String,
    /// Where a parameter is sent: `path`, `query`, `header`; empty for a member.
    pub(super) place: String,
    pub(super) required: bool,
    pub(super) description: String,
    /// Limits, defaults and allowed values, in words.
    pub(super) notes: Vec<String>,
}

/// How deep objects in objects are shown; also what ends a schema that refers to itself.
const DEPTH_MAX: usize = 4;

/// How many references are followed to reach a schema.
const HOPS_MAX: usize = 8;

/// The value itself, or what its `$ref` into this document leads to; null where it leads nowhere.
pub(super) fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let mut value = value;
    for _ in 0..HOPS_MAX {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                value = reference
                    .strip_prefix('#')
                    .and_then(|pointer| document.pointer(pointer))
                    .unwrap_or(&Value::Null);
            }
            None => return value,
        }
    }
    &Value::Null
}

/// The schema and what it is composed of: `allOf`, and the variants of `oneOf` and `anyOf`.
fn parts<'a>(document: &'a Value, schema: &'a Value, depth: usize) -> Vec<&'a Value> {
    let schema = resolve(document, schema);
    let mut all = vec![schema];
    if depth < DEPTH_MAX {
        for key in ["allOf", "oneOf", "anyOf"] {
            for part in items(&schema[key]) {
                all.extend(parts(document, part, depth + 1));
            }
        }
    }
    all
}

/// The members of an object schema, nested ones by their path; none for another schema.
pub(super) fn fields(document: &Value, schema: &Value) -> Vec<Field> {
    let mut rows = Vec::new();
    collect(document, schema, "", 0, &mut rows);
    rows
}

fn collect(document: &Value, schema: &Value, prefix: &str, depth: usize, rows: &mut Vec<Field>) {
    if depth >= DEPTH_MAX {
        return;
    }
    for part in parts(document, schema, 0) {
        for (name, member) in members(&part["properties"]) {
            let name = format!("{prefix}{name}");
            if rows.iter().any(|row| row.name == name) {
                continue;
            }
            let target = resolve(document, member);
            let description = match text(member, "description") {
                "" => text(target, "description"),
                own => own,
            };
            let own_name = &name[prefix.len()..];
            rows.push(Field {
                kind: kind(document, member),
                place: String::new(),
                required: items(&part["required"]).any(|required| required == own_name),
                description: words::prose(description),
                notes: notes(document, member),
                name: name.clone(),
            });
            collect(document, member, &format!("{name}."), depth + 1, rows);
        }
        if part.get("items").is_some() {
            let prefix = format!("{}[].", prefix.trim_end_matches('.'));
            collect(document, &part["items"], &prefix, depth + 1, rows);
        }
    }
}

/// A type in words: `string (uuid)`, `array of object`, `object or null`.
pub(super) fn kind(document: &Value, schema: &Value) -> String {
    kind_at(document, schema, 0)
}

fn kind_at(document: &Value, schema: &Value, depth: usize) -> String {
    let schema = resolve(document, schema);
    if depth >= DEPTH_MAX {
        return "any".to_owned();
    }
    for key in ["oneOf", "anyOf"] {
        if schema[key].is_array() {
            return alternatives(
                items(&schema[key]).map(|variant| kind_at(document, variant, depth + 1)).collect(),
            );
        }
    }
    match &schema["type"] {
        Value::String(name) => named(document, schema, name, depth),
        Value::Array(names) => alternatives(
            names
                .iter()
                .filter_map(Value::as_str)
                .map(|name| named(document, schema, name, depth))
                .collect(),
        ),
        _ if schema["properties"].is_object() || schema["allOf"].is_array() => "object".to_owned(),
        _ if schema["enum"].is_array() || schema.get("const").is_some() => "value".to_owned(),
        _ => String::new(),
    }
}

fn named(document: &Value, schema: &Value, name: &str, depth: usize) -> String {
    match name {
        "array" => match kind_at(document, &schema["items"], depth + 1).as_str() {
            "" => "array".to_owned(),
            item => format!("array of {item}"),
        },
        "object"
            if schema["additionalProperties"].is_object() && schema.get("properties").is_none() =>
        {
            format!("map to {}", kind_at(document, &schema["additionalProperties"], depth + 1))
        }
        "null" => name.to_owned(),
        _ => match text(schema, "format") {
            "" => name.to_owned(),
            format => format!("{name} ({format})"),
        },
    }
}

fn alternatives(kinds: Vec<String>) -> String {
    let mut distinct: Vec<String> = Vec::new();
    for kind in kinds {
        if !kind.is_empty() && !distinct.contains(&kind) {
            distinct.push(kind);
        }
    }
    // "null" reads best at the end.
    distinct.sort_by_key(|kind| kind == "null");
    distinct.join(" or ")
}

/// Allowed values, default and limits of a schema, in words.
pub(super) fn notes(document: &Value, schema: &Value) -> Vec<String> {
    const LIMITS: [(&str, &str); 8] = [
        ("default", "default"),
        ("minLength", "at least this many characters:"),
        ("maxLength", "at most this many characters:"),
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minItems", "at least this many items:"),
        ("maxItems", "at most this many items:"),
        ("pattern", "matches"),
    ];
    let schema = resolve(document, schema);
    let mut notes = Vec::new();
    let values: Vec<String> =
        items(&schema["enum"]).chain(schema.get("const")).map(plain).collect();
    if !values.is_empty() {
        notes.push(format!("one of: {}", values.join(", ")));
    }
    for (key, words) in LIMITS {
        if let Some(limit) = schema.get(key) {
            notes.push(format!("{words} {}", plain(limit)));
        }
    }
    notes
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An example that the schema itself gives.
pub(super) fn given_example(schema: &Value) -> Option<&Value> {
    schema
        .get("example")
        .or_else(|| items(&schema["examples"]).next())
        .or_else(|| schema.get("const"))
        .or_else(|| schema.get("default"))
        .or_else(|| items(&schema["enum"]).next())
}

/// An example of a media type's content: the one it gives, else one made from its schema.
pub(super) fn example(document: &Value, content: &Value) -> Value {
    content
        .get("example")
        .or_else(|| members(&content["examples"]).next().map(|(_, example)| &example["value"]))
        .cloned()
        .unwrap_or_else(|| made(document, &content["schema"], 0))
}

fn made(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolve(document, schema);
    if let Some(given) = given_example(schema) {
        return given.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or_default();
    match kind {
        "string" if text(schema, "format") == "email" => json!("ada@example.com"),
        "string" => json!("string"),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(true),
        "array" if depth < DEPTH_MAX => json!([made(document, &schema["items"], depth + 1)]),
        "array" => json!([]),
        _ => Value::Object(made_object(document, schema, depth)),
    }
}

/// The members an object needs; every member where it says of none that it is needed.
fn made_object(document: &Value, schema: &Value, depth: usize) -> Map<String, Value> {
    let mut object = Map::new();
    if depth >= DEPTH_MAX {
        return object;
    }
    for part in parts(document, schema, 0) {
        let needed = |name: &str| items(&part["required"]).any(|required| required == name);
        for (name, member) in members(&part["properties"]) {
            if needed(name) || !part["required"].is_array() {
                object.entry(name).or_insert_with(|| made(document, member, depth + 1));
            }
        }
    }
    object
}
