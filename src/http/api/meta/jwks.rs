//! `GET /.well-known/jwks.json`: returns the public keys that verify vaultTokens (RFC 7517).

use hyper::header::{HeaderName, HeaderValue};

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::Problem;

/// A verifier may cache the keys for this time.
const CACHED_SECONDS: u32 = 300;

pub async fn handle(app: &App, _: &mut Request) -> Result<Answer, Problem> {
    Ok(public(answer::json_text(app.keys.current().jwk_set())))
}

/// Lets every origin read the response and every cache store it.
pub(super) fn public(answer: Answer) -> Answer {
    let mut answer = answer::cacheable(answer, CACHED_SECONDS);
    answer.headers_mut().insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
    answer
}

pub fn operation() -> Operation {
    Operation::new("jwks", Tag::Meta, "Get the public keys that verify vaultTokens")
        .gives_json("A JWK set. It is empty if vaultTokens are signed with HS256.")
}
