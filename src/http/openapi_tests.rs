//! Tests that the OpenAPI document is the one that was reviewed, and that it matches the routes.

use super::document::schemas;
use super::*;
use crate::http::router::ROUTES;

#[test]
fn the_document_is_the_one_that_was_reviewed() {
    insta::assert_snapshot!(document_json());
}

#[test]
fn every_reference_leads_somewhere_and_no_id_is_used_twice() {
    let document = document("http://localhost");
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    let mut ids = std::collections::HashSet::new();
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()));
        }
    }
    assert_eq!(ids.len(), ROUTES.iter().filter(|route| route.operation.is_some()).count());
}

#[test]
fn a_schema_has_a_name_of_its_own() {
    let mut known = BTreeMap::new();
    for (name, schema) in schemas() {
        let schema = serde_json::to_value(schema).unwrap();
        let before = known.entry(name.clone()).or_insert_with(|| schema.clone());
        assert_eq!(*before, schema, "two types are called {name}");
    }
}
