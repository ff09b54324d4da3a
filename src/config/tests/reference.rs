//! Tests that the reference, the JSON Schema and the page agree with the loader.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::{Given, toml};
use crate::config::setting::{Fallback, Setting};
use crate::config::settings::{self, SECTIONS, find};
use crate::config::{reference, schema};

/// The reference with every setting uncommented.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    reference::toml().lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn every_default_and_example_is_a_value_of_its_kind() {
    for setting in settings::all() {
        let mut root = Map::new();
        reference::insert(&mut root, setting.key, reference::in_file(setting));
        let problems = Given::default().file("a.json", &Json::Object(root).to_string()).load();
        let of_kind = problems.err().map_or_else(Vec::new, |problems| problems.0);
        let refused = |what: &str| {
            !["not available", "is set without", "is missing", "looks like"]
                .iter()
                .any(|rule| what.starts_with(rule))
        };
        assert!(!of_kind.iter().any(|problem| refused(&problem.what)), "{of_kind:?}");
    }
}

#[test]
fn the_reference_as_it_stands_changes_nothing() {
    let loaded = toml(&reference::toml()).loaded();
    assert_eq!(format!("{:?}", loaded.config), format!("{:?}", Given::default().loaded().config));
    let json = Given::default().file("a.json", &reference::json()).loaded();
    assert_eq!(format!("{:?}", json.config), format!("{:?}", Given::default().loaded().config));
}

#[test]
fn every_setting_of_the_reference_loads_when_uncommented() {
    let all = uncommented();
    let loaded = toml(&all).loaded();
    for shown in loaded.sources {
        let place = shown.source.to_string();
        let line = place.strip_prefix("latchkey.toml:").map(|line| line.parse::<usize>().unwrap());
        let line = all.lines().nth(line.unwrap_or_else(|| panic!("{}", shown.key)) - 1).unwrap();
        let name = shown.key.split_once('.').map_or(shown.key, |(_, name)| name);
        assert!(line.starts_with(&format!("{name} = ")), "{}: {line}", shown.key);
        let setting = find(shown.key).unwrap();
        if let Fallback::Is(_) = setting.fallback {
            assert_eq!(shown.value, reference::in_file(setting), "{}", shown.key);
        }
    }
}

#[test]
fn every_setting_has_a_section_and_a_variable_of_its_own() {
    let variables: BTreeSet<String> = settings::all().map(Setting::variable).collect();
    assert_eq!(variables.len(), settings::all().count());
    assert_eq!(find("http.tls.cert").unwrap().variable(), "LATCHKEY_HTTP__TLS__CERT");
    for setting in settings::all() {
        let section = setting.key.split_once('.').map_or("", |(section, _)| section);
        assert!(SECTIONS.iter().any(|it| it.name == section), "{}", setting.key);
        let stem = setting.key.strip_suffix("_file");
        assert!(stem.and_then(find).is_none(), "{} would be read as a file", setting.key);
    }
}

#[test]
fn the_page_in_docs_is_the_one_that_is_generated() {
    let kept = include_str!("../../../docs/configuration.md");
    assert!(
        kept == reference::markdown(),
        "run: latchkey config init --markdown > docs/configuration.md"
    );
}

/// Validates `value` against `schema`. It knows the keywords that latchkey's schema uses, and
/// ignores patterns. The error says where `value` is not valid.
fn validate(schema: &Json, value: &Json, at: &str) -> Result<(), String> {
    let known = [
        "$schema",
        "title",
        "description",
        "default",
        "type",
        "properties",
        "additionalProperties",
        "enum",
        "items",
        "minimum",
        "maximum",
        "minLength",
        "pattern",
    ];
    for keyword in schema.as_object().unwrap().keys() {
        assert!(known.contains(&keyword.as_str()), "{keyword} is not looked at");
    }
    let fits = match schema["type"].as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        _ => value.is_boolean(),
    };
    let in_words = schema["enum"].as_array().is_none_or(|words| words.contains(value));
    let number = value.as_u64();
    let in_range = number.is_none_or(|n| {
        schema["minimum"].as_u64().is_none_or(|min| n >= min)
            && schema["maximum"].as_u64().is_none_or(|max| n <= max)
    });
    if !(fits && in_words && in_range) {
        return Err(at.to_owned());
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => validate(schema, inner, &format!("{at}.{name}"))?,
            None => return Err(format!("{at}.{name}")),
        }
    }
    value
        .as_array()
        .into_iter()
        .flatten()
        .try_for_each(|item| validate(&schema["items"], item, &format!("{at}[]")))
}

#[test]
fn the_schema_accepts_the_reference_and_refuses_what_the_loader_refuses() {
    let schema: Json = serde_json::from_str(&schema()).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let defaults: Json = serde_json::from_str(&reference::json()).unwrap();
    validate(&schema, &defaults, "").unwrap();
    let all: Json = toml::from_str(&uncommented()).unwrap();
    validate(&schema, &all, "").unwrap();
    validate(&schema, &serde_json::json!({ "tokens": { "secret_file": "/run/s" } }), "").unwrap();
    for wrong in [
        serde_json::json!({ "htp": {} }),
        serde_json::json!({ "http": { "listen": 8080 } }),
        serde_json::json!({ "profile": "prod" }),
        serde_json::json!({ "password": { "min_length": 7 } }),
        serde_json::json!({ "captcha": { "on": ["login"] } }),
    ] {
        assert!(validate(&schema, &wrong, "").is_err(), "{wrong}");
        assert!(
            Given::default().file("a.json", &wrong.to_string()).load().is_err()
                || wrong == serde_json::json!({ "htp": {} })
        );
    }
}
