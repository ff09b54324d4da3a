//! The options of a ceremony, in the JSON forms of WebAuthn §5.1. A browser reads them with
//! `parseCreationOptionsFromJSON` and `parseRequestOptionsFromJSON`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::account::{Begun, NewPasskey};
use crate::clock::rfc3339;
use crate::factor::Factor;
use crate::factor::passkey::{Algorithm, Transport, encode};
use crate::factor::passkey_table::transports;

/// The only type of credentials.
const PUBLIC_KEY: &str = "public-key";
const REQUIRED: &str = "required";

/// A ceremony that creates a passkey.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Creation {
    /// The name of this ceremony. Send it with the response of the browser.
    challenge: String,
    public_key: CreationOptions,
    /// Until when the ceremony can be completed (RFC 3339).
    expires_at: String,
}

/// `PublicKeyCredentialCreationOptionsJSON` of WebAuthn Level 3. Pass it to
/// `PublicKeyCredential.parseCreationOptionsFromJSON`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreationOptions {
    rp: Party,
    user: User,
    /// 32 random bytes in base64url.
    challenge: String,
    pub_key_cred_params: Vec<Parameter>,
    /// In milliseconds.
    timeout: u64,
    /// The passkeys that the account has already.
    exclude_credentials: Vec<Descriptor>,
    authenticator_selection: Selection,
    /// Always `none`.
    attestation: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Party {
    /// The domain of the passkey.
    id: String,
    name: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct User {
    /// 64 random bytes in base64url, which are the same for all passkeys of the account.
    id: String,
    /// The email address of the account.
    name: String,
    /// The name of the user.
    display_name: String,
}

#[derive(Serialize, ToSchema)]
struct Parameter {
    r#type: &'static str,
    /// -7 (ES256), -8 (EdDSA) or -257 (RS256).
    alg: i64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Selection {
    resident_key: &'static str,
    require_resident_key: bool,
    user_verification: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Descriptor {
    r#type: &'static str,
    /// The id of the passkey in base64url.
    id: String,
    /// How a browser reaches the authenticator.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transports: Vec<&'static str>,
}

/// A ceremony that proves a passkey.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The name of this ceremony. Send it with the response of the browser.
    challenge: String,
    public_key: RequestOptions,
    /// Until when the ceremony can be completed (RFC 3339).
    expires_at: String,
}

/// `PublicKeyCredentialRequestOptionsJSON` of WebAuthn Level 3. Pass it to
/// `PublicKeyCredential.parseRequestOptionsFromJSON`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RequestOptions {
    /// 32 random bytes in base64url.
    challenge: String,
    /// In milliseconds.
    timeout: u64,
    /// The domain of the passkeys.
    rp_id: String,
    /// The passkeys of the account. Absent in a login without a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_credentials: Option<Vec<Descriptor>>,
    user_verification: &'static str,
}

impl From<NewPasskey<'_>> for Creation {
    fn from(NewPasskey { begun, user_handle, email, name }: NewPasskey<'_>) -> Self {
        let parameter = |it: Algorithm| Parameter { r#type: PUBLIC_KEY, alg: it.cose() };
        Self {
            challenge: begun.token.expose().clone(),
            public_key: CreationOptions {
                rp: Party { id: begun.rp.id.to_owned(), name: begun.rp.name.to_owned() },
                user: User { id: encode(&user_handle), name: email, display_name: name },
                challenge: begun.challenge.0,
                pub_key_cred_params: Algorithm::ALL.into_iter().map(parameter).collect(),
                timeout: timeout(begun.lasts),
                exclude_credentials: begun.passkeys.map(described).unwrap_or_default(),
                authenticator_selection: Selection {
                    resident_key: REQUIRED,
                    require_resident_key: true,
                    user_verification: REQUIRED,
                },
                attestation: "none",
            },
            expires_at: rfc3339(begun.expires_at),
        }
    }
}

impl Request {
    /// The JSON of the member `publicKey`.
    pub fn public_key(&self) -> String {
        serde_json::to_string(&self.public_key).unwrap_or_default()
    }
}

impl From<Begun<'_>> for Request {
    fn from(begun: Begun<'_>) -> Self {
        Self {
            challenge: begun.token.expose().clone(),
            public_key: RequestOptions {
                challenge: begun.challenge.0,
                timeout: timeout(begun.lasts),
                rp_id: begun.rp.id.to_owned(),
                allow_credentials: begun.passkeys.map(described),
                user_verification: REQUIRED,
            },
            expires_at: rfc3339(begun.expires_at),
        }
    }
}

fn timeout(lasts: std::time::Duration) -> u64 {
    u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX)
}

fn described(passkeys: Vec<Factor>) -> Vec<Descriptor> {
    let describe = |passkey: Factor| Descriptor {
        r#type: PUBLIC_KEY,
        id: encode(passkey.credential_id.as_deref().unwrap_or_default()),
        transports: transports(&passkey).into_iter().map(Transport::name).collect(),
    };
    passkeys.into_iter().map(describe).collect()
}
