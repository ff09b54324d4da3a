//! `GET /.well-known/openid-configuration`: returns the discovery document, from which standard
//! middleware reads where the public keys are (OpenID Connect Discovery 1.0 §3, RFC 8414).

use serde_json::json;

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::Problem;
use crate::session::Level;
use crate::team::roles::SCOPES;

pub async fn handle(app: &App, _: &mut Request) -> Result<Answer, Problem> {
    let url = &app.config.public_url;
    let algorithms = app.keys.current().algorithms();
    let document = json!({
        "issuer": app.config.tokens.issuer,
        "jwks_uri": format!("{url}/.well-known/jwks.json"),
        "id_token_signing_alg_values_supported": algorithms,
        "token_endpoint": format!("{url}/api/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": SCOPES.iter().map(|(name, _, _)| *name).collect::<Vec<_>>(),
        "introspection_endpoint": format!("{url}/api/introspect"),
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint": format!("{url}/api/revoke"),
        "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "claims_supported": ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "sid", "tid", "role", "pid", "scope", "mep", "acr", "amr", "auth_time"],
        "acr_values_supported": [Level::Aal1.name(), Level::Aal2.name()],
        "service_documentation": format!("{url}/docs"),
    });
    Ok(super::jwks::public(answer::json(&document)))
}

pub fn operation() -> Operation {
    Operation::new("discovery", Tag::Meta, "Get the discovery document").gives_json(
        "The OpenID Connect Discovery document, with the members that concern vaultTokens.",
    )
}
