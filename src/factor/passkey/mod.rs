//! Passkeys (WebAuthn Level 3): the checks of the two ceremonies as pure functions.
//!
//! A *registration* creates a passkey on the user's device. An *assertion* proves that the user has
//! the passkey. Each ceremony begins with a [`Challenge`] of the daemon. `responses.rs` contains
//! what the browser sends back, and `registration.rs` and `assertion.rs` check it. The other files
//! read one part of a response each.
//!
//! The readers accept only what the specification allows, down to the last byte. The caller does
//! not tell the client why a response was refused, because every response that is wrong gets the
//! same response.

mod assertion;
mod authenticator_data;
mod cbor;
mod client_data;
mod public_key;
mod registration;
mod responses;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::random_bytes;

pub use assertion::{Assertion, Stored, check as check_assertion};
pub use public_key::Algorithm;
pub use registration::{Registered, check as check_registration};
pub use responses::{CredentialResponse, Transport};

/// The number of bytes of a challenge.
const CHALLENGE_BYTES: usize = 32;
/// The number of bytes of a user handle. It is the maximum of WebAuthn §5.4.3.
const HANDLE_BYTES: usize = 64;
/// The shortest credential id: 128 bits, which WebAuthn §4 requires.
const ID_BYTES_MIN: usize = 16;
/// The longest credential id (WebAuthn §4).
const ID_BYTES_MAX: usize = 1_023;

/// The installation to which passkeys belong (the *relying party*).
#[derive(Clone, Copy, Debug)]
pub struct RelyingParty<'a> {
    /// The domain of the passkeys: `webauthn.rp_id`.
    pub id: &'a str,
    /// The name that authenticators show.
    pub name: &'a str,
    /// The origins of web pages and apps that may use the passkeys.
    pub origins: &'a [String],
}

/// The random value that a ceremony signs, in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(pub String);

impl Challenge {
    pub fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random_bytes::<CHALLENGE_BYTES>()))
    }
}

/// Creates the random bytes by which authenticators recognise an account. They are not the id of
/// the account, because authenticators give them to everyone who holds the device.
pub fn random_handle() -> Vec<u8> {
    random_bytes::<HANDLE_BYTES>().to_vec()
}

/// Why a response is refused, in a few words for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str);

/// Writes bytes as WebAuthn's JSON does: in base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads bytes in base64url without padding.
fn decode(text: &str, refused: &'static str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused(refused))
}
