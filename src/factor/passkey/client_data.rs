//! The client data: what the browser says about the page that ran the ceremony (WebAuthn §5.8.1).

use super::authenticator_data::Ceremony;
use super::{Challenge, Refused, RelyingParty};
use crate::strict_json::{self, Value};

const BAD: Refused = Refused("client data");

/// Checks the client data of a ceremony. Members that this function does not know are ignored.
pub fn check(
    bytes: &[u8],
    ceremony: Ceremony,
    challenge: &Challenge,
    rp: RelyingParty<'_>,
) -> Result<(), Refused> {
    let mut members = strict_json::object(bytes).map_err(|_| BAD)?;
    let mut text = |name: &str| match members.remove(name) {
        Some(Value::Text(text)) => Ok(text),
        _ => Err(BAD),
    };
    let (kind, signed, origin) = (text("type")?, text("challenge")?, text("origin")?);
    let expected = match ceremony {
        Ceremony::Registration => "webauthn.create",
        Ceremony::Assertion => "webauthn.get",
    };
    if kind != expected {
        return Err(Refused("type"));
    }
    if signed != challenge.0 {
        return Err(Refused("challenge"));
    }
    if !rp.origins.contains(&origin) {
        return Err(Refused("origin"));
    }
    // Another website can put a page into a frame and trick the user into a ceremony there.
    match members.remove("crossOrigin") {
        None | Some(Value::Flag(false)) => Ok(()),
        Some(_) => Err(Refused("cross origin")),
    }
}
