//! Helpers that create tokens with the keys of the daemon, with other keys, or by hand.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey::token::keys::Key;
use serde_json::Value;

use crate::client::{claims, jose_header};

/// One forged token, in the form of the `Authorization` header that the client sends.
#[derive(Clone, Debug)]
pub struct Cause {
    pub name: String,
    pub authorization: String,
    /// Says that the token has no other error than its times: it has expired, or it is from the
    /// future. The routes where the session decides accept such a token.
    pub untimely: bool,
}

impl Cause {
    pub fn new(name: impl Into<String>, token: impl AsRef<str>) -> Self {
        let authorization = format!("Bearer {}", token.as_ref());
        Self { name: name.into(), authorization, untimely: false }
    }

    pub fn untimely(name: impl Into<String>, token: impl AsRef<str>) -> Self {
        Self { untimely: true, ..Self::new(name, token) }
    }
}

/// Encodes in base64url without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url without padding.
pub fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// Returns the header, the payload and the signature in their encoded form.
pub fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    parts.try_into().expect("three parts")
}

/// Returns a token with this encoded header and this payload. One of the daemon's keys signs it.
pub fn signed(key: &Key, header: &str, payload: &[u8]) -> String {
    let message = format!("{header}.{}", encode(payload));
    let signature = key.material.sign(message.as_bytes()).expect("signed");
    format!("{message}.{}", encode(signature))
}

/// Returns the HMAC-SHA-256 of a message with this secret, in base64url.
pub fn hmac(secret: &[u8], message: &str) -> String {
    encode(latchkey::secret::hmac_sha256(secret, message.as_bytes()))
}

/// The header and the claims of a valid token.
pub struct Good {
    pub header: Value,
    pub claims: Value,
}

impl Good {
    pub fn of(token: &str) -> Self {
        Self { header: jose_header(token), claims: claims(token) }
    }

    /// Returns the claims with another value for one claim, or without the claim if `value` is
    /// `None`.
    pub fn with(&self, name: &str, value: Option<Value>) -> String {
        let mut claims = self.claims.clone();
        let members = claims.as_object_mut().expect("an object");
        members.remove(name);
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
        claims.to_string()
    }

    /// Returns the claims with one value as raw text. For some values the result is invalid JSON.
    pub fn raw(&self, name: &str, value: &str) -> String {
        let rest = self.with(name, None);
        format!("{{\"{name}\":{value},{}", &rest[1..])
    }
}
