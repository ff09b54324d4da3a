//! The built-in captcha: the proof of work of ALTCHA version 2, with PBKDF2/SHA-256.
//!
//! A challenge is signed and not stored. The `altcha` crate creates and signs it. This module
//! verifies solutions itself, because `verify_solution` of the crate reads the system clock and
//! derives the key again.
//!
//! The signature covers the canonical JSON of the parameters (nonce, salt, cost, expiry, …). It
//! does not cover the base64 alphabet, the spelling of the JSON, unknown members, the counter and
//! time of the solution, and the case of its hex digits. These are ignored, so only the nonce
//! identifies a solution.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use altcha::{Challenge, CounterMode, CreateChallengeOptions, HmacAlgorithm};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::clock::{UnixMillis, millis};
use crate::secret::{self, Secret};

/// The greatest length of a payload, in bytes of base64. The payload of the widget has about 700.
pub const PAYLOAD_BYTES_MAX: usize = 4096;

/// How long a challenge can be solved.
pub const CHALLENGE_TTL: Duration = Duration::from_mins(10);

/// The work for a challenge. The server chooses a random counter below `counter_max`. It derives a
/// key from the counter with `cost` iterations of PBKDF2, and publishes half of that key. The
/// client counts up from 0 until its derived key matches that half.
#[derive(Clone, Copy)]
struct Work {
    cost: u32,
    counter_max: u32,
}

/// About one second of work for a phone, and never more than two.
///
/// One core of a mid-range phone with SHA-2 instructions (Cortex-A76 at 2.2 GHz) does about 2
/// million iterations of PBKDF2/SHA-256 per second. The counter is uniform in 0..2 000. So the
/// client needs 1 000 attempts of 2 000 iterations on average, which are 2 million iterations, and
/// at most 4 million. The work has an upper limit, which a search for a hash prefix would not have.
///
/// The server computes 2 000 iterations (about 0.5 ms) to create a challenge and two HMACs to
/// verify a solution. With 2 000 iterations, an attempt takes about 1 ms in a browser, and the
/// overhead of a WebCrypto call (about 0.05 ms) stays small.
const WORK: Work = Work { cost: 2_000, counter_max: 2_000 };

/// The hardest challenge: about one minute of work for a phone on average, and two minutes at most.
pub const DIFFICULTY_MAX: u32 = 60;

/// The member of the signed parameters that holds the difficulty. A challenge of difficulty 1 has
/// no such member.
const DIFFICULTY: &str = "difficulty";

/// The decoder for both alphabets: a payload is converted to the standard alphabet first. Padding
/// is optional.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Creates challenges and verifies solutions. Each replica can verify the challenges of the others.
pub struct Altcha {
    /// Signs the parameters. It is in hex, because the crate takes a text.
    signature_key: Zeroizing<String>,
    /// Signs the derived key, so that the verification needs no PBKDF2.
    solution_key: Zeroizing<String>,
    work: Work,
    /// Verifies challenges under the previous master key, while that key is set.
    before: Option<Box<Altcha>>,
}

/// A correct solution. It is valid only if the caller spends `spent_key` in the store and is the
/// first to do so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solved {
    /// A digest with 43 characters. It is the same for every form in which a solution of this
    /// challenge can be sent.
    pub spent_key: String,
    /// The store must remember the solution until this time.
    pub expires_at: UnixMillis,
    /// How many times harder than a usual challenge it was.
    pub difficulty: u32,
}

/// Why a solution is refused. The client receives `captcha-invalid` in all cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptchaRefusal {
    /// It is longer than [`PAYLOAD_BYTES_MAX`].
    TooLong,
    /// It is not base64 of JSON with the required members.
    Malformed,
    /// The signature of the challenge is not ours.
    Forged,
    Expired,
    /// The derived key is wrong: the work was not done.
    Unsolved,
}

impl fmt::Display for CaptchaRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the captcha solution is too long",
            Self::Malformed => "the captcha solution cannot be read",
            Self::Forged => "the captcha challenge was not created by this service",
            Self::Expired => "the captcha challenge has expired",
            Self::Unsolved => "the captcha challenge is not solved",
        })
    }
}

impl Error for CaptchaRefusal {}

/// The payload that the widget sends. Its counter and time prove nothing and are not read.
#[derive(Deserialize)]
struct Payload {
    challenge: Challenge,
    solution: Solution,
}

#[derive(Deserialize)]
struct Solution {
    #[serde(rename = "derivedKey")]
    derived_key: String,
}

impl Altcha {
    /// A provider with its own key (`master.derive("captcha")`).
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        Self::with_work(key, WORK)
    }

    fn with_work(key: &Secret<[u8; 32]>, work: Work) -> Self {
        let derive = |label: &[u8]| Zeroizing::new(hex(&secret::hmac_sha256(key.expose(), label)));
        Self {
            signature_key: derive(b"challenge"),
            solution_key: derive(b"solution"),
            work,
            before: None,
        }
    }

    /// Also verifies challenges under the previous key, so that solutions stay valid after a change
    /// of the master key.
    #[must_use]
    pub fn and_before(self, key: Option<&Secret<[u8; 32]>>) -> Self {
        let before = key.map(|key| Box::new(Self::with_work(key, self.work)));
        Self { before, ..self }
    }

    /// A new challenge, `{parameters, signature}`, in the form of ALTCHA's widget. It is valid for
    /// [`CHALLENGE_TTL`].
    ///
    /// The work of the client is `difficulty` times the usual work, from 1 to [`DIFFICULTY_MAX`].
    /// The work of the server stays about 0.5 ms (see `WORK`), because only the range of the
    /// counter grows.
    ///
    /// # Panics
    /// Never. The crate refuses unknown algorithms and prefixes that are not hex, and both are
    /// constants here.
    pub fn challenge(&self, difficulty: u32, now: UnixMillis) -> serde_json::Value {
        let difficulty = difficulty.clamp(1, DIFFICULTY_MAX);
        // The modulo bias is negligible: the range has thousands of values and the random number
        // 2^32.
        let counter =
            u32::from_be_bytes(secret::random_bytes::<4>()) % (self.work.counter_max * difficulty);
        let options = CreateChallengeOptions {
            algorithm: "PBKDF2/SHA-256".to_owned(),
            cost: self.work.cost,
            data: (difficulty > 1).then(|| [(DIFFICULTY.to_owned(), difficulty.into())].into()),
            counter: Some(counter),
            counter_mode: CounterMode::Uint32,
            expires_at: Some(now.saturating_add(millis(CHALLENGE_TTL)).div_euclid(1000)),
            hmac_algorithm: HmacAlgorithm::Sha256,
            hmac_signature_secret: Some(self.signature_key.to_string()),
            hmac_key_signature_secret: Some(self.solution_key.to_string()),
            key_length: 32,
            ..CreateChallengeOptions::default()
        };
        let challenge = altcha::create_challenge(options)
            .expect("the challenge's parameters are our own constants");
        serde_json::to_value(challenge).expect("a challenge is strings and numbers")
    }

    /// Verifies the value that a client sent as `captcha`: base64 (either alphabet, optional
    /// padding) of `{challenge, solution}`.
    ///
    /// The signature is checked first, so forged parameters cannot cause work.
    pub fn check(&self, payload: &str, now: UnixMillis) -> Result<Solved, CaptchaRefusal> {
        let read = read(payload)?;
        match (self.verify(&read, now), &self.before) {
            (Err(CaptchaRefusal::Forged), Some(before)) => before.verify(&read, now),
            (judged, _) => judged,
        }
    }

    fn verify(&self, payload: &Payload, now: UnixMillis) -> Result<Solved, CaptchaRefusal> {
        let Payload { challenge, solution } = payload;
        self.check_signature(challenge)?;

        // The signature is ours, so the parameters can be trusted from here on.
        let parameters = &challenge.parameters;
        let expires_at = parameters.expires_at.ok_or(CaptchaRefusal::Forged)?.saturating_mul(1000);
        if now >= expires_at {
            return Err(CaptchaRefusal::Expired);
        }
        let key_signature = parameters.key_signature.as_deref().ok_or(CaptchaRefusal::Forged)?;
        let derived_key = unhex(&solution.derived_key).ok_or(CaptchaRefusal::Unsolved)?;
        let expected = hex(&secret::hmac_sha256(self.solution_key.as_bytes(), &derived_key));
        if !secret::equal(expected.as_bytes(), key_signature.as_bytes()) {
            return Err(CaptchaRefusal::Unsolved);
        }
        let difficulty = parameters.data.as_ref().and_then(|data| data.get(DIFFICULTY)?.as_u64());
        let difficulty = difficulty.and_then(|it| u32::try_from(it).ok()).unwrap_or(1);
        Ok(Solved {
            spent_key: secret::sha256(parameters.nonce.as_bytes()),
            expires_at,
            difficulty,
        })
    }

    fn check_signature(&self, challenge: &Challenge) -> Result<(), CaptchaRefusal> {
        let claimed = challenge.signature.as_deref().ok_or(CaptchaRefusal::Forged)?;
        // Without a derived key, signing does not change the parameters.
        let signed = altcha::sign_challenge(
            &HmacAlgorithm::Sha256,
            &mut challenge.parameters.clone(),
            None,
            &self.signature_key,
            None,
        );
        let expected = signed.ok().and_then(|challenge| challenge.signature);
        let expected = expected.ok_or(CaptchaRefusal::Forged)?;
        if secret::equal(expected.as_bytes(), claimed.as_bytes()) {
            Ok(())
        } else {
            Err(CaptchaRefusal::Forged)
        }
    }
}

impl fmt::Debug for Altcha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Altcha(…)")
    }
}

/// Solves a challenge and returns the payload, as the widget would. `None` if the value is not a
/// challenge.
///
/// For tests and examples. It takes as long as [`WORK`] says.
#[doc(hidden)]
pub fn solve(challenge: &serde_json::Value) -> Option<String> {
    let parsed: Challenge = serde_json::from_value(challenge.clone()).ok()?;
    let solution = altcha::solve_challenge(altcha::SolveChallengeOptions::new(&parsed)).ok()??;
    let payload = serde_json::json!({ "challenge": challenge, "solution": solution });
    Some(BASE64.encode(payload.to_string()))
}

fn read(payload: &str) -> Result<Payload, CaptchaRefusal> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(CaptchaRefusal::TooLong);
    }
    let standard: String = payload
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    let json = BASE64.decode(standard).map_err(|_| CaptchaRefusal::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| CaptchaRefusal::Malformed)
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
#[path = "altcha_tests.rs"]
mod tests;
