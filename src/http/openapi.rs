//! The description of each endpoint, and the OpenAPI 3.1 document that is built from them.
//!
//! The `operation()` of an endpoint is in the file of its handler. Schemas come from the request
//! and response types (utoipa), paths and methods from the route table. So the document cannot
//! describe a route that does not exist, or omit an endpoint of the API.

mod tag;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub use self::tag::Tag;
use super::router::ROUTES;
use crate::problem::Code;

/// Collects the schema of a type and the schemas that it refers to.
type Schemas = fn(&mut Vec<(String, RefOr<Schema>)>);

/// `{"status":"ok"}`: the request succeeded, and there is no other result.
#[derive(Serialize, ToSchema)]
pub struct Done {
    /// Always `ok`.
    status: &'static str,
}

impl Done {
    pub const OK: Self = Self { status: "ok" };
}

/// The description of an endpoint.
#[derive(Debug)]
pub struct Operation {
    id: &'static str,
    tag: Tag,
    summary: &'static str,
    description: Option<&'static str>,
    security: Option<&'static str>,
    parameters: Vec<Value>,
    body: Option<(&'static str, Value, Schemas)>,
    body_required: bool,
    answer: (u16, &'static str, Option<Value>),
    also: Option<(u16, &'static str)>,
    answer_schemas: Option<Schemas>,
    codes: Vec<Code>,
}

impl Operation {
    /// Creates an operation with a stable id in camelCase and a summary in the imperative.
    pub fn new(id: &'static str, tag: Tag, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            description: None,
            security: None,
            parameters: Vec::new(),
            body: None,
            body_required: true,
            answer: (204, "", None),
            also: None,
            answer_schemas: None,
            codes: Vec::new(),
        }
    }

    /// Creates an operation on the team in the path, for all of its members.
    pub fn of_team(id: &'static str, tag: Tag, summary: &'static str) -> Self {
        Self::new(id, tag, summary).bearer().path("tid", "The id of the team.").fails(&[
            Code::InvalidToken,
            Code::EmailUnverified,
            Code::NotFound,
        ])
    }

    /// Creates an operation on a team, for members with certain roles, or only while the team is
    /// not disabled.
    pub fn of_roles(id: &'static str, tag: Tag, summary: &'static str) -> Self {
        Self::of_team(id, tag, summary).fails(&[Code::Forbidden])
    }

    /// Adds a description.
    #[must_use]
    pub fn describes(mut self, text: &'static str) -> Self {
        self.description = Some(text);
        self
    }

    /// Requires a userToken.
    #[must_use]
    pub fn bearer(self) -> Self {
        self.bearer_of("userToken")
    }

    /// Requires this token.
    #[must_use]
    pub fn bearer_of(mut self, token: &'static str) -> Self {
        self.security = Some(token);
        self
    }

    /// Requires the id and the secret of a client.
    #[must_use]
    pub fn basic(self) -> Self {
        self.bearer_of("client")
    }

    /// Adds a path parameter.
    #[must_use]
    pub fn path(self, name: &'static str, description: &'static str) -> Self {
        self.parameter(json!({ "name": name, "in": "path", "required": true, "description": description, "schema": { "type": "string" } }))
    }

    /// Adds an optional query parameter.
    #[must_use]
    pub fn query(self, name: &'static str, description: &'static str) -> Self {
        self.parameter(json!({ "name": name, "in": "query", "required": false, "description": description, "schema": { "type": "string" } }))
    }

    /// Adds a captcha in the query, for a daemon whose operator requires one.
    #[must_use]
    pub fn captcha(self) -> Self {
        self.query("capcha", "The solution of a captcha, if the operator requires one.")
            .query("captcha", "The same parameter in its correct spelling.")
    }

    /// Adds the parameters of a list with pages.
    #[must_use]
    pub fn paged(self) -> Self {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 50 });
        self.query("cursor", "The `next` of the previous page.")
            .parameter(json!({ "name": "limit", "in": "query", "required": false, "description": "The maximum number of items on the page.", "schema": limit }))
            .fails(&[Code::ValidationFailed])
    }

    fn parameter(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Takes a JSON body.
    #[must_use]
    pub fn takes<T: ToSchema>(mut self) -> Self {
        self.body = Some(("application/json", reference::<T>(), collect::<T>));
        self
    }

    /// Makes the body optional.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.body_required = false;
        self
    }

    /// Takes a form.
    #[must_use]
    pub fn takes_form<T: ToSchema>(mut self) -> Self {
        let kind = "application/x-www-form-urlencoded";
        self.body = Some((kind, reference::<T>(), collect::<T>));
        self
    }

    /// Responds with 200 and JSON of a type.
    #[must_use]
    pub fn gives<T: ToSchema>(mut self, description: &'static str) -> Self {
        self.answer = (200, description, Some(reference::<T>()));
        self.answer_schemas = Some(collect::<T>);
        self
    }

    /// Responds with 200 and a JSON object that another standard defines.
    #[must_use]
    pub fn gives_json(mut self, description: &'static str) -> Self {
        self.answer = (200, description, Some(json!({ "type": "object" })));
        self
    }

    /// Responds with 200 and no body.
    #[must_use]
    pub fn gives_empty(mut self, description: &'static str) -> Self {
        self.answer = (200, description, None);
        self
    }

    /// Responds with 204.
    #[must_use]
    pub fn gives_nothing(mut self, description: &'static str) -> Self {
        self.answer = (204, description, None);
        self
    }

    /// Adds another response that is not a failure.
    #[must_use]
    pub fn also(mut self, status: u16, description: &'static str) -> Self {
        self.also = Some((status, description));
        self
    }

    /// Adds problems beside those that every operation has.
    #[must_use]
    pub fn fails(mut self, codes: &[Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// Whether the handler reads a body.
    pub fn takes_body(&self) -> bool {
        self.body.is_some()
    }

    fn to_json(&self, path: &str) -> Value {
        let (status, description, schema) = &self.answer;
        let mut responses = Map::new();
        let mut success = json!({ "description": description });
        if let Some(schema) = schema {
            success["content"] = json!({ "application/json": { "schema": schema } });
        }
        responses.insert(status.to_string(), success);
        if let Some((status, description)) = self.also {
            responses.insert(status.to_string(), json!({ "description": description }));
        }
        let mut problems: BTreeMap<u16, Vec<String>> = BTreeMap::new();
        let with_body: &[Code] = if self.body.is_some() { &OF_A_BODY } else { &[] };
        for code in self.codes.iter().chain(with_body).chain(&EVERYWHERE) {
            let names = problems.entry(code.status().as_u16()).or_default();
            let name = format!("`{}`", code.name());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if is_refused_in_clear(path) {
            let refused = format!(
                "`{}` if a proxy received the request over plain http",
                Code::Forbidden.name()
            );
            problems.entry(Code::Forbidden.status().as_u16()).or_default().push(refused);
        }
        for (status, names) in problems {
            let problem = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
            responses.insert(
                status.to_string(),
                json!({ "description": names.join(", "), "content": { "application/problem+json": problem } }),
            );
        }
        // These endpoints have a misspelled path too, which keeps the id. The right path needs its
        // own id.
        let respelled = matches!(path, "/api/forgot-password" | "/api/reset-password");
        let id = if respelled { format!("{}Respelled", self.id) } else { self.id.to_owned() };
        let mut operation = json!({
            "operationId": id,
            "tags": [self.tag.name()],
            "summary": self.summary,
            "responses": responses,
        });
        if let Some(description) = self.description {
            operation["description"] = description.into();
        }
        if let Some(scheme) = self.security {
            operation["security"] = json!([{ scheme: [] }]);
        }
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.clone().into();
        }
        if let Some((kind, schema, _)) = &self.body {
            operation["requestBody"] = json!({ "required": self.body_required, "content": { *kind: { "schema": schema } } });
        }
        operation
    }
}

/// Whether a request that reached a proxy over plain http is refused, if `public_url` is https.
/// Forward-auth is exempt: the header of its requests describes a request to another service.
pub fn is_refused_in_clear(path: &str) -> bool {
    path.starts_with("/api/") && path != "/api/forward-auth"
}

/// The problems that any request may get.
const EVERYWHERE: [Code; 6] = [
    Code::MalformedRequest,
    Code::UriTooLong,
    Code::HeadersTooLarge,
    Code::RateLimited,
    Code::Overloaded,
    Code::DependencyUnavailable,
];
/// Further problems of a request with a body.
const OF_A_BODY: [Code; 3] = [Code::RequestTimeout, Code::BodyTooLarge, Code::UnsupportedMediaType];

/// A reference to the schema of a type, or the schema itself if it has no properties.
fn reference<T: ToSchema>() -> Value {
    match <T as PartialSchema>::schema() {
        RefOr::T(Schema::Object(object)) if object.properties.is_empty() => {
            serde_json::to_value(object).unwrap_or_default()
        }
        _ => json!({ "$ref": format!("#/components/schemas/{}", T::name()) }),
    }
}

fn collect<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), <T as PartialSchema>::schema()));
    T::schemas(schemas);
}

/// The schemas of all operations. A type that several operations use is listed several times.
fn schemas() -> Vec<(String, RefOr<Schema>)> {
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
                "userToken": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Identifies the user and the session. Every registration, login and refresh returns a new one. It expires after `tokens.user_ttl` (15 minutes by default). `GET /api/refresh` replaces it as long as its session is live, even after it has expired. Only latchkey accepts it, so never send it to your own APIs." },
                "vaultToken": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "States what the user may do, and in which team and project. It is the token for your own APIs, which verify it with `/.well-known/jwks.json`. It is returned together with each `userToken`, and by `POST /api/token` for a project key. It expires after `tokens.vault_ttl` (5 minutes by default)." },
                "client": { "type": "http", "scheme": "basic", "description": "The credentials of a project key (its id and the whole `lk_…`) or of a client of `introspection.clients`. You may send them in the form instead." },
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
            "type": { "type": "string", "format": "uri", "description": "The address of the page that explains the error." },
            "title": { "type": "string", "description": "A short title. It is the same for every occurrence of the error." },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "A description of this occurrence." },
            "code": { "type": "string", "enum": codes },
            "traceId": { "type": "string", "description": "The id by which the operator finds the request in the log." },
            "error": { "type": "string", "description": "The name of the error in the OAuth RFCs. Only OAuth endpoints send it.", "enum": ["invalid_request", "invalid_client", "invalid_scope", "unauthorized_client", "unsupported_grant_type"] },
            "difficulty": { "type": "integer", "description": "Only with `captcha-invalid`: the `difficulty` to request from `GET /api/captcha`. If it is missing, the difficulty is 1." },
            "errors": {
                "type": "array",
                "description": "Only with `validation-failed`: the members that break a rule.",
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

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
