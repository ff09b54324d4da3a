//! `GET /.well-known/webauthn`: the web pages that may use the passkeys of this domain (WebAuthn
//! §5.11, related origins).

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};

#[derive(Serialize, ToSchema)]
struct RelatedOrigins<'a> {
    /// The origins of web pages.
    origins: Vec<&'a str>,
}

pub async fn handle(app: &App, _: &mut Request) -> Result<Answer, Problem> {
    let origins = app.config.webauthn.origins.iter().map(String::as_str);
    let origins = origins.filter(|origin| origin.starts_with("http")).collect();
    Ok(super::jwks::public(answer::json(&RelatedOrigins { origins })))
}

pub fn operation() -> Operation {
    Operation::new("webauthnOrigins", Tag::Meta, "Where the passkeys of this domain work")
        .describes(
            "A browser reads it before a page of another domain uses the passkeys. The route is \
             there only where passkeys work.",
        )
        .gives::<RelatedOrigins<'_>>("The origins of web pages.")
        .fails(&[Code::NotFound])
}
