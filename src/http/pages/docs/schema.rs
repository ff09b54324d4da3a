//! JSON Schema, as OpenAPI 3.1 uses it, flattened to rows of a table.

use serde_json::Value;

use super::{items, members, slug, text};
use crate::http::pages::words;

/// One member of an object, or one parameter. `description` is HTML markup.
pub(super) struct Field {
    /// The path from the root, with dots between names and `[]` after an array.
    pub(super) name: String,
    pub(super) kind: String,
    /// Where a parameter is sent: `path`, `query` or `header`. It is empty for a member of an
    /// object.
    pub(super) place: String,
    pub(super) required: bool,
    pub(super) description: String,
    /// Limits, defaults and allowed values, in words.
    pub(super) notes: Vec<String>,
}

/// Nested objects are shown down to this depth. The limit also applies to a schema that refers to
/// itself, which would otherwise never end.
pub(super) const DEPTH_MAX: usize = 4;

/// The maximum number of references that are followed to reach a schema.
const HOPS_MAX: usize = 8;

/// If the value has a `$ref`, returns the target in this document, or null if there is no such
/// target. Otherwise returns the value itself.
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

/// The name of a component, and the id of its section on the page.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) id: String,
}

impl Named {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), id: slug(&["schema", name]) }
    }
}

/// The component that a schema refers to, directly or as the items of an array.
pub(super) fn named_component(schema: &Value) -> Option<Named> {
    let own = text(schema, "$ref");
    let reference = if own.is_empty() { text(&schema["items"], "$ref") } else { own };
    reference.strip_prefix("#/components/schemas/").map(Named::new)
}

/// The schema and its parts: `allOf`, and the variants of `oneOf` and `anyOf`.
pub(super) fn parts<'a>(document: &'a Value, schema: &'a Value, depth: usize) -> Vec<&'a Value> {
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

/// The members of an object schema. The name of a nested member is its path. A schema of another
/// type has no members.
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

/// The type in words, for example `string (uuid)`, `array of object` or `object or null`.
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
    // "null" is easiest to read at the end.
    distinct.sort_by_key(|kind| kind == "null");
    distinct.join(" or ")
}

/// The allowed values, the default and the limits of a schema, in words.
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
