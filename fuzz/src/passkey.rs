//! The fuzz harness for the responses of passkeys: client data, authenticator data, attestation
//! objects (CBOR) and public keys (COSE). The first byte of the input selects the part that the
//! other bytes replace or edit. The bytes of the other parts come from a right response.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey::factor::passkey::{
    Assertion, Challenge, CredentialResponse, Registered, RelyingParty, Stored, check_assertion,
    check_registration,
};
use latchkey::strict_json;
use serde_json::Value;

use super::edits::edited;

const REGISTRATION: &str = include_str!("passkey/registration.json");
const ASSERTION: &str = include_str!("passkey/assertion.json");

/// Checks that a registration is accepted only with an id and a key of the right size, and that an
/// assertion is accepted only if its signed bytes are those of the right one.
pub fn run(data: &[u8]) {
    let Some((&mode, rest)) = data.split_first() else { return };
    match mode % 8 {
        0 => registered(&replaced(REGISTRATION, "attestationObject", rest)),
        1 => registered(&replaced(REGISTRATION, "clientDataJSON", rest)),
        2 => registered(&edited_part(REGISTRATION, "attestationObject", rest)),
        3 => registered(&edited(REGISTRATION, rest)),
        4 => asserted(&replaced(ASSERTION, "authenticatorData", rest)),
        5 => asserted(&edited_part(ASSERTION, "authenticatorData", rest)),
        6 => asserted(&edited_part(ASSERTION, "clientDataJSON", rest)),
        _ => asserted(&edited(ASSERTION, rest)),
    }
}

/// A response in which these bytes replace one part.
fn replaced(response: &str, part: &str, bytes: &[u8]) -> String {
    let mut json: Value = serde_json::from_str(response).expect("JSON");
    json["response"][part] = URL_SAFE_NO_PAD.encode(bytes).into();
    json.to_string()
}

/// A response in which some bytes of one part are edited.
fn edited_part(response: &str, part: &str, script: &[u8]) -> String {
    let json: Value = serde_json::from_str(response).expect("JSON");
    let text = json["response"][part].as_str().expect("a text");
    let mut bytes = URL_SAFE_NO_PAD.decode(text).expect("base64url");
    for edit in script.chunks_exact(3).take(16) {
        let at = (usize::from(edit[0] >> 2) * 256 + usize::from(edit[1])) % bytes.len().max(1);
        match edit[0] & 3 {
            _ if bytes.is_empty() => {}
            0 => bytes[at] = edit[2],
            1 => bytes.insert(at, edit[2]),
            2 => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
    }
    replaced(response, part, &bytes)
}

fn party(origins: &[String]) -> RelyingParty<'_> {
    RelyingParty { id: "latchkey.test", name: "latchkey", origins }
}

fn challenge() -> Challenge {
    Challenge(URL_SAFE_NO_PAD.encode([0; 32]))
}

fn origins() -> [String; 1] {
    ["https://latchkey.test".to_owned()]
}

fn register(json: &str) -> Option<Registered> {
    let members = strict_json::object(json.as_bytes()).ok()?;
    let response = CredentialResponse::read(members);
    check_registration(&response, &challenge(), party(&origins())).ok()
}

fn registered(json: &str) {
    let Some(registered) = register(json) else { return };
    assert!((16..=1_023).contains(&registered.credential_id.len()));
    assert!(registered.backup_eligible || !registered.backed_up);
    assert!((32..=700).contains(&registered.public_key.len()));
    // The right assertion belongs to one passkey.
    if assert_with(ASSERTION, &registered).is_some() {
        assert_eq!(registered.credential_id, right().credential_id);
    }
}

fn right() -> Registered {
    register(REGISTRATION).expect("the registration is right")
}

fn assert_with(json: &str, passkey: &Registered) -> Option<Assertion> {
    let members = strict_json::object(json.as_bytes()).ok()?;
    let response = CredentialResponse::read(members);
    let stored = Stored {
        credential_id: &passkey.credential_id,
        public_key: &passkey.public_key,
        backup_eligible: passkey.backup_eligible,
        user_handle: &[7; 64],
    };
    check_assertion(&response, &challenge(), stored, true, party(&origins())).ok()
}

fn asserted(json: &str) {
    let passkey = right();
    let Some(assertion) = assert_with(json, &passkey) else { return };
    assert_eq!(Some(assertion), assert_with(ASSERTION, &passkey));
    let parts = |json: &str| {
        let json: Value = serde_json::from_str(json).expect("JSON");
        ["clientDataJSON", "authenticatorData"].map(|part| json["response"][part].clone())
    };
    assert_eq!(parts(json), parts(ASSERTION), "only what was signed is accepted");
}
