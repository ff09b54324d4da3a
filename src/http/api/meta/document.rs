//! `GET /openapi.json`: this API, described.

use hyper::header::HeaderValue;

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::Problem;

/// It changes with the binary alone.
const KEPT_FOR_SECONDS: u32 = 300;

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let kind = HeaderValue::from_static("application/json");
    let answer = answer::kept(request, &app.described.document, kind);
    Ok(answer::cacheable(answer, KEPT_FOR_SECONDS))
}

pub fn operation() -> Operation {
    Operation::new("openapi", Tag::Meta, "Get this description")
        .gives_json("OpenAPI 3.1, made from the code.")
        .also(304, "It is the one that `If-None-Match` names.")
}
