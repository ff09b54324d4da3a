//! `GET /.well-known/openid-configuration`: where stock middleware finds our keys (OpenID Connect Discovery 1.0 §3,
//! RFC 8414).

use serde_json::json;

use crate::app::App;
use crate::config::VaultAlgorithm;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::Problem;

/// The handler.
pub async fn handle(app: &App, _: &mut Request) -> Result<Answer, Problem> {
    let url = &app.config.public_url;
    let algorithm = match app.config.tokens.algorithm {
        VaultAlgorithm::Es256 => "ES256",
        VaultAlgorithm::EdDsa => "EdDSA",
        VaultAlgorithm::Rs256 => "RS256",
        VaultAlgorithm::Hs256 => "HS256",
    };
    let document = json!({
        "issuer": app.config.tokens.issuer,
        "jwks_uri": format!("{url}/.well-known/jwks.json"),
        "id_token_signing_alg_values_supported": [algorithm],
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "claims_supported": ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "sid", "tid", "role", "pid", "scope", "mep"],
        "service_documentation": format!("{url}/docs"),
    });
    Ok(super::jwks::public(answer::json(&document)))
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("discovery", Tag::Meta, "Find the keys, as stock middleware does").gives_json(
        "The document of OpenID Connect Discovery, as far as it is about verifying vaultTokens.",
    )
}
