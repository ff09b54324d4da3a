//! Sample claims of a login, for the tests and the benchmark.
//!
//! The tests and the benchmark include this file in a module that contains `ISSUER`, `NOW` and the
//! types.

use super::{ISSUER, NOW, UserClaims, VaultClaims};

const ID: &str = "0199d2f0-3c5e-7a10-8f00-5d2f6a1b9c33";

/// The claims of a userToken that is valid for 15 minutes from `NOW`.
pub(super) fn user_claims() -> UserClaims {
    UserClaims {
        iss: ISSUER.to_owned(),
        aud: ISSUER.to_owned(),
        sub: ID.to_owned(),
        sid: ID.to_owned(),
        jti: ID.to_owned(),
        generation: 3,
        iat: NOW,
        nbf: NOW,
        exp: NOW + 900,
        email: "ada.lovelace@example.com".to_owned(),
        email_verified: true,
        name: "Ada Lovelace".to_owned(),
        acr: "aal1".to_owned(),
        amr: vec!["pwd".to_owned()],
        auth_time: NOW,
    }
}

/// The claims of a team owner's vaultToken that is valid for 5 minutes from `NOW`.
pub(super) fn vault_claims() -> VaultClaims {
    VaultClaims {
        iss: ISSUER.to_owned(),
        aud: "vault".to_owned(),
        sub: ID.to_owned(),
        client_id: "latchkey".to_owned(),
        sid: Some(ID.to_owned()),
        jti: ID.to_owned(),
        iat: NOW,
        nbf: NOW,
        exp: NOW + 300,
        tid: Some(ID.to_owned()),
        role: Some("owner".to_owned()),
        pid: Some(ID.to_owned()),
        scope: "team:admin project:admin".to_owned(),
        mep: Some(1),
        acr: Some("aal1".to_owned()),
        amr: Some(vec!["pwd".to_owned()]),
        auth_time: Some(NOW),
    }
}
