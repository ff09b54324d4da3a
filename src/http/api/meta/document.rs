//! `GET /openapi.json`: returns the OpenAPI document of this API.

use hyper::header::HeaderValue;

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::Problem;

/// Caches may store the document for this time. The document changes only if the binary or the
/// settings change.
const KEPT_FOR_SECONDS: u32 = 300;

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let kind = HeaderValue::from_static("application/json");
    let answer = answer::kept(request, &app.described.document, kind);
    Ok(answer::cacheable(answer, KEPT_FOR_SECONDS))
}

pub fn operation() -> Operation {
    Operation::new("openapi", Tag::Meta, "Get this OpenAPI document")
        .gives_json("The OpenAPI 3.1 document, generated from the code.")
        .also(304, "The document still has the `ETag` in `If-None-Match`.")
}
