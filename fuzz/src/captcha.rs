//! The fuzz harness for the payload of the built-in captcha, which is JSON in base64. The first
//! byte of the input selects how the harness uses the other bytes.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use latchkey::captcha::CaptchaRefusal;
use latchkey::captcha::altcha::{Altcha, PAYLOAD_BYTES_MAX, Solved, solve};
use latchkey::secret::Secret;

use super::edits::edited;

const NOW: i64 = 1_800_000_000_000;

struct State {
    altcha: Altcha,
    /// The JSON of a valid solution.
    json: String,
    solved: Solved,
}

/// Checks that a payload is accepted only if it is the valid solution, possibly in another form.
/// Each accepted form must have the same identity as the original solution, so that a client can
/// use the solution only once.
pub fn run(data: &[u8]) {
    static STATE: OnceLock<State> = OnceLock::new();
    let state = STATE.get_or_init(|| {
        let altcha = Altcha::new(&Secret::new([7; 32]));
        let payload = solve(&altcha.challenge(1, NOW)).expect("solved");
        let json = STANDARD.decode(&payload).expect("base64");
        let solved = altcha.check(&payload, NOW).expect("good");
        State { altcha, json: String::from_utf8(json).expect("text"), solved }
    });
    let Some((&mode, rest)) = data.split_first() else { return };
    let (payload, stranger) = match mode & 3 {
        0 => (String::from_utf8_lossy(rest).into_owned(), true),
        1 => (STANDARD.encode(rest), true),
        2 => (URL_SAFE_NO_PAD.encode(edited(&state.json, rest)), false),
        _ => (edited(&STANDARD.encode(&state.json), rest), false),
    };
    let now = NOW + i64::from(mode >> 2) * 1000;
    match state.altcha.check(&payload, now) {
        Ok(solved) => {
            assert!(!stranger, "nobody solved this: {payload}");
            assert_eq!(solved, state.solved);
            assert!(payload.len() <= PAYLOAD_BYTES_MAX);
        }
        Err(refusal) => {
            assert_eq!(refusal == CaptchaRefusal::TooLong, payload.len() > PAYLOAD_BYTES_MAX);
            let says = refusal.to_string();
            assert!(says.starts_with("the captcha "), "{says}");
        }
    }
    assert!(state.altcha.check(&payload, state.solved.expires_at).is_err(), "expired is expired");
}
