//! The description of each endpoint, and the OpenAPI 3.1 document that is built from them.
//!
//! The `operation()` of an endpoint is in the file of its handler. Schemas come from the request
//! and response types (utoipa). Paths and methods come from the route table. So the document cannot
//! describe a route that does not exist, or omit an endpoint of the API.

mod document;
mod tag;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub use self::document::{document, document_json};
pub use self::tag::Tag;
use crate::problem::Code;

/// Collects the schema of a type and the schemas that it refers to.
type Schemas = fn(&mut Vec<(String, RefOr<Schema>)>);

/// The result of a request that succeeded and has no data to return.
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
        Self::of_seen_team(id, tag, summary).fails(&[Code::TeamFactorRequired])
    }

    /// Creates an operation on the team in the path, for all of its members, also for those whose
    /// session lacks the second factor that the team requires.
    pub fn of_seen_team(id: &'static str, tag: Tag, summary: &'static str) -> Self {
        Self::new(id, tag, summary).bearer().path("tid", "The id of the team.").fails(&[
            Code::InvalidToken,
            Code::EmailUnverified,
            Code::NotFound,
        ])
    }

    /// Creates an operation on the team in the path that can be refused with a 403, because only
    /// certain roles may do it or because the team is disabled.
    pub fn of_roles(id: &'static str, tag: Tag, summary: &'static str) -> Self {
        Self::of_team(id, tag, summary).fails(&[Code::Forbidden])
    }

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

    /// Requires the token or the credentials with this name.
    #[must_use]
    pub fn bearer_of(mut self, token: &'static str) -> Self {
        self.security = Some(token);
        self
    }

    /// Requires the id and the secret of a client, with HTTP Basic.
    #[must_use]
    pub fn basic(self) -> Self {
        self.bearer_of("client")
    }

    #[must_use]
    pub fn path(self, name: &'static str, description: &'static str) -> Self {
        self.parameter(json!({ "name": name, "in": "path", "required": true, "description": description, "schema": { "type": "string" } }))
    }

    /// Adds an optional query parameter.
    #[must_use]
    pub fn query(self, name: &'static str, description: &'static str) -> Self {
        self.parameter(json!({ "name": name, "in": "query", "required": false, "description": description, "schema": { "type": "string" } }))
    }

    /// Adds the query parameters for a captcha, which the operator can require.
    #[must_use]
    pub fn captcha(self) -> Self {
        self.query("capcha", "The solution of a captcha, if the operator requires one.")
            .query("captcha", "The same as `capcha`, in the correct spelling.")
    }

    /// Adds the parameters of a list that is sent in pages.
    #[must_use]
    pub fn paged(self) -> Self {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 50 });
        self.query("cursor", "The value of `next` from the previous page. Leave it out to get the first page.")
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

    /// Declares that the body may be missing.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.body_required = false;
        self
    }

    #[must_use]
    pub fn takes_form<T: ToSchema>(mut self) -> Self {
        let kind = "application/x-www-form-urlencoded";
        self.body = Some((kind, reference::<T>(), collect::<T>));
        self
    }

    /// Responds with 200 and JSON of the type `T`.
    #[must_use]
    pub fn gives<T: ToSchema>(mut self, description: &'static str) -> Self {
        self.answer = (200, description, Some(reference::<T>()));
        self.answer_schemas = Some(collect::<T>);
        self
    }

    /// Responds with 201 and JSON of the type `T`.
    #[must_use]
    pub fn created<T: ToSchema>(mut self, description: &'static str) -> Self {
        self = self.gives::<T>(description);
        self.answer.0 = 201;
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

    /// Adds problems that this operation can return. The problems that every operation can return
    /// are added automatically.
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
        // Each of these endpoints also has a misspelled path, which has the id of the operation. So
        // the correct path needs a different id.
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

/// Whether requests to this path are refused if they reached a proxy over plain http and
/// `public_url` is https. Forward-auth is exempt, because the header `X-Forwarded-Proto` of its
/// requests describes the client's request to another service.
pub fn is_refused_in_clear(path: &str) -> bool {
    path.starts_with("/api/") && path != "/api/forward-auth"
}

/// The problems that every request can get.
const EVERYWHERE: [Code; 6] = [
    Code::MalformedRequest,
    Code::UriTooLong,
    Code::HeadersTooLarge,
    Code::RateLimited,
    Code::Overloaded,
    Code::DependencyUnavailable,
];
/// Further problems that a request with a body can get.
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

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
