//! Tests of how `/docs` renders a document.

use serde_json::json;

use super::super::{Mailbox, Trials, docs};
use super::between;

#[test]
fn the_reference_resolves_what_the_document_refers_to() {
    let page = docs(
        &json!({
            "info": { "title": "T", "version": "1" },
            "servers": [{ "url": "https://auth.example.com/" }],
            "paths": { "/api/teams/{id}": { "post": {
                "tags": ["Teams"],
                "security": [{ "userToken": [] }],
                "parameters": [{ "$ref": "#/components/parameters/Id" }],
                "requestBody": { "required": true, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Node" } } } },
                "responses": { "200": { "description": "Done.", "content": { "application/json": { "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Node" } } } } },
                    "404": { "description": "See `not-found`." } },
            } } },
            "components": {
                "securitySchemes": { "userToken": { "type": "http", "scheme": "bearer" } },
                "parameters": { "Id": { "name": "id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" } } },
                "schemas": { "Node": { "type": "object", "required": ["name"], "properties": {
                    "name": { "type": "string", "minLength": 1, "example": "it's" },
                    "next": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Node" }] },
                } } },
            },
        }),
        Trials::Absent,
        Mailbox::Absent,
    );
    assert!(page.contains("<code>next.name</code>") && page.contains("object or null"));
    assert!(page.contains("<code>[].name</code>") && page.contains("array of object"));
    assert!(page.contains("string (uuid), in path, required"));
    assert!(page.contains("at least this many characters: 1"));
    assert!(page.contains("href=\"/problems/not-found\""));
    assert!(page.contains("id=\"schema-node\"") && page.contains("<a href=\"#schema-node\">Node"));
    assert!(page.contains("[\n  {\n    &#34;name&#34;: &#34;it&#39;s&#34;\n  }\n]"), "{page}");
    let command = between(&page, "<code id=\"post-api-teams-id-curl\">", "</code>").next();
    let command = command.map(|text| text.replace("&#39;", "'").replace("&#34;", "\""));
    assert_eq!(
        command.as_deref(),
        Some(
            r#"curl -s -X POST 'https://auth.example.com/api/teams/ID' \
  -H "authorization: Bearer $USER_TOKEN" \
  -H 'content-type: application/json' \
  -d '{"name":"it'\''s"}'"#
        )
    );
}

#[test]
fn requests_are_sent_from_the_reference_in_development_alone() {
    let document = crate::http::openapi::document("https://auth.example.com");
    let page = |trials| docs(&document, trials, Mailbox::Absent);
    let (offered, absent) = (page(Trials::Offered), page(Trials::Absent));
    let operations = absent.matches("-curl\">").count();
    assert!(operations > 30, "{operations}");
    // Without scripts all forms are hidden, because nothing else could send their content.
    assert_eq!(offered.matches("<details class=\"try\" data-try ").count(), operations);
    assert_eq!(
        between(&offered, "<details", ">").filter(|tag| tag.ends_with(" hidden")).count(),
        operations
    );
    for word in ["data-try", "docs.js", "<form", "<input", "Try it"] {
        assert!(offered.contains(word) && !absent.contains(word), "{word}");
    }
}

#[test]
fn the_reference_begins_with_the_token_that_most_operations_ask_for() {
    let page = docs(
        &crate::http::openapi::document("https://auth.example.com"),
        Trials::Absent,
        Mailbox::Absent,
    );
    let section = between(&page, "<section id=\"authentication\">", "</section>").next().unwrap();
    let names: Vec<&str> = between(section, "<dt><code>", "</code>").collect();
    assert_eq!(names, ["userToken", "vaultToken", "client"]);
}
