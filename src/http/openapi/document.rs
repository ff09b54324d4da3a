//! The OpenAPI document: the paths and schemas of all endpoints, and the parts that they share.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};

use super::{Operation, Tag};
use crate::http::router::ROUTES;
use crate::problem::Code;

/// The schemas of all operations. A type that several operations use is listed several times.
pub(super) fn schemas() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = Vec::new();
    for operation in ROUTES.iter().filter_map(|route| route.operation) {
        let Operation { body, answer_schemas, .. } = operation();
        let body = body.map(|(_, _, collect)| collect);
        for collect in body.into_iter().chain(answer_schemas) {
            collect(&mut schemas);
        }
    }
    schemas
}

/// The document for a daemon at `public_url`.
pub fn document(public_url: &str) -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        let Some(operation) = route.operation.map(|operation| operation()) else { continue };
        let entry = paths.entry(route.path).or_default();
        entry.insert(route.method.name().to_lowercase(), operation.to_json(route.path));
    }
    let mut components = Map::new();
    for (name, schema) in schemas() {
        let is_named =
            !matches!(&schema, RefOr::T(Schema::Object(object)) if object.properties.is_empty());
        if is_named {
            components.insert(name, serde_json::to_value(schema).unwrap_or_default());
        }
    }
    components.insert("Problem".to_owned(), problem_schema());
    let tags: Vec<Value> = Tag::ALL
        .iter()
        .map(|(_, name, description)| json!({ "name": name, "description": description }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "latchkey",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The API of latchkey: accounts, sessions, teams and tokens over HTTP. Errors are `application/problem+json` (RFC 9457).",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": public_url }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "userToken": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The userToken identifies the user and the session. Every registration, login and refresh returns a new userToken. It expires after `tokens.user_ttl` (15 minutes by default). As long as the session is live, `GET /api/refresh` replaces the userToken, even after the userToken has expired. Only latchkey accepts a userToken, so never send it to your own APIs." },
                "vaultToken": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The vaultToken states what the user may do, and in which team and project. Send it to your own APIs, which verify it with `/.well-known/jwks.json`. latchkey returns a vaultToken together with each userToken. For a project key, `POST /api/token` returns one. A vaultToken expires after `tokens.vault_ttl` (5 minutes by default)." },
                "client": { "type": "http", "scheme": "basic", "description": "The credentials of a client. For a project key, send its id and the whole key (`lk_…`). For a client of `introspection.clients`, send its id and its secret. Instead of HTTP Basic, you can send the credentials in the form." },
            },
        },
    })
}

/// The document as text, with the default address of a daemon.
pub fn document_json() -> String {
    serde_json::to_string_pretty(&document("http://127.0.0.1:8080")).unwrap_or_default()
}

fn problem_schema() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    json!({
        "type": "object",
        "description": "An error response (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "traceId"],
        "properties": {
            "type": { "type": "string", "format": "uri", "description": "The URL of the page that explains the error." },
            "title": { "type": "string", "description": "A short title. It is the same for every occurrence of the error." },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "A description of this occurrence." },
            "code": { "type": "string", "enum": codes },
            "traceId": { "type": "string", "description": "The id of the trace. The operator can find the request in the log by this id." },
            "error": { "type": "string", "description": "The name of the error in the OAuth RFCs. Only OAuth endpoints send this member.", "enum": ["invalid_request", "invalid_client", "invalid_scope", "unauthorized_client", "unsupported_grant_type"] },
            "difficulty": { "type": "integer", "description": "Only `captcha-invalid` has this member. Send its value as `difficulty` to `GET /api/captcha`. If the member is missing, the difficulty is 1." },
            "challenge": { "type": "string", "description": "Only `factor-required` has this member. Send it to `POST /api/login/factor`." },
            "methods": { "type": "array", "items": { "type": "string" }, "description": "`factor-required`, `step-up-required` and `team-factor-required` have this member. It lists the methods that are enough." },
            "expiresAt": { "type": "string", "format": "date-time", "description": "Only `factor-required` has this member. The challenge ends at this time." },
            "acrValues": { "type": "array", "items": { "type": "string" }, "description": "Only `step-up-required` has this member. It lists the levels that are enough." },
            "maxAge": { "type": "integer", "description": "Only `step-up-required` has this member. The proof may be this many seconds old." },
            "errors": {
                "type": "array",
                "description": "Only `validation-failed` has this member. It lists the members of the request that break a rule.",
                "items": {
                    "type": "object",
                    "required": ["pointer", "code", "detail"],
                    "properties": {
                        "pointer": { "type": "string", "description": "The member that breaks the rule, as a JSON pointer (RFC 6901)." },
                        "code": { "type": "string" },
                        "detail": { "type": "string" },
                    },
                },
            },
        },
    })
}
