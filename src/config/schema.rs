//! The JSON Schema of a configuration file (draft 2020-12), generated from the catalogue.

use serde_json::{Map, Value as Json, json};

use super::kind::{Item, Kind};
use super::reference::{in_file, pretty};
use super::setting::{Fallback, Section, Setting};
use super::settings::{self, SECTIONS};

/// The pattern of [`super::kind::Kind::Duration`].
const DURATION: &str = "^[0-9]+(ms|s|m|h|d)$";
/// The pattern of 32 bytes in base64, in the standard or the URL-safe alphabet.
const KEY: &str = "^[A-Za-z0-9+/_-]{43}=?$";
/// The pattern of a version and of 32 bytes or more in base64, in the standard or the URL-safe
/// alphabet.
const PEPPER: &str = "^[1-9][0-9]{0,3}:[A-Za-z0-9+/_-]{43,}=*$";

/// The schema, as indented JSON.
pub fn schema() -> String {
    let mut root = object("Settings of latchkey.");
    for setting in settings::all() {
        place(&mut root, setting.key, leaf(setting));
        let file = format!("The path of a file that contains `{}`.", setting.key);
        let file = json!({ "type": "string", "minLength": 1, "description": file });
        place(&mut root, &format!("{}_file", setting.key), file);
    }
    for Section { name: section, about, .. } in SECTIONS {
        if !section.is_empty() {
            root["properties"][*section]["description"] = format!("{about}.").into();
        }
    }
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["title"] = "latchkey".into();
    pretty(&root)
}

fn object(about: &str) -> Json {
    json!({
        "type": "object", "description": about, "additionalProperties": false, "properties": {},
    })
}

fn place(node: &mut Json, key: &str, value: Json) {
    match key.split_once('.') {
        None => node["properties"][key] = value,
        Some((section, rest)) => {
            let inner = &mut node["properties"][section];
            if inner.is_null() {
                *inner = object(&format!("Settings below `{section}`."));
            }
            place(inner, rest, value);
        }
    }
}

fn leaf(setting: &Setting) -> Json {
    let mut schema = shape(setting.kind);
    schema.insert("description".to_owned(), setting.doc.into());
    if let Fallback::Is(_) = setting.fallback {
        schema.insert("default".to_owned(), in_file(setting));
    }
    Json::Object(schema)
}

fn shape(kind: Kind) -> Map<String, Json> {
    let schemes = |schemes: &[&str]| {
        let known: Vec<_> = schemes.iter().map(|scheme| scheme.replace('+', "\\+")).collect();
        json!({ "type": "string", "pattern": format!("^({})://", known.join("|")) })
    };
    let shape = match kind {
        Kind::Url(known) | Kind::SecretUrl(known) => schemes(known),
        Kind::BaseUrl => schemes(&["http", "https"]),
        Kind::Duration(..) => json!({ "type": "string", "pattern": DURATION }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Fraction => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Kind::Word(words) => json!({ "type": "string", "enum": words }),
        Kind::List(Item::Word(words)) => {
            json!({ "type": "array", "items": { "type": "string", "enum": words } })
        }
        Kind::List(Item::Pepper) => {
            json!({ "type": "array", "items": { "type": "string", "pattern": PEPPER } })
        }
        Kind::List(_) => json!({ "type": "array", "items": { "type": "string", "minLength": 1 } }),
        Kind::Key => json!({ "type": "string", "pattern": KEY }),
        Kind::Pepper => json!({ "type": "string", "pattern": PEPPER }),
        Kind::Address
        | Kind::Path
        | Kind::Text
        | Kind::Mailbox
        | Kind::HeloName
        | Kind::DomainName
        | Kind::Filter
        | Kind::Secret => json!({ "type": "string", "minLength": 1 }),
    };
    match shape {
        Json::Object(shape) => shape,
        _ => Map::new(),
    }
}
