//! The built-in captcha. It is the proof of work of ALTCHA version 2, with PBKDF2/SHA-256.
//!
//! A challenge is signed and not stored. The `altcha` crate creates and signs challenges. This
//! module does not use the crate's function `verify_solution`, because that function reads the
//! system clock and derives the key again. It verifies solutions itself.
//!
//! The signature covers the canonical JSON of the parameters (nonce, salt, cost, expiry, …). The
//! same solution can be sent in many forms, because some parts of a payload are not signed: the
//! base64 alphabet, the spelling of the JSON, unknown members, the counter and the time of the
//! solution, and the case of its hex digits. These parts are ignored. Only the nonce identifies a
//! solution.

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

/// The maximum length of a payload, in bytes of base64. The widget sends about 700 bytes.
pub const PAYLOAD_BYTES_MAX: usize = 4096;

/// The time in which a client must solve a challenge and send the solution.
pub const CHALLENGE_TTL: Duration = Duration::from_mins(10);

/// The work that a challenge needs. The server selects a random counter below `counter_max`. It
/// derives a key from this counter with `cost` iterations of PBKDF2. The challenge contains the
/// first half of the key. The client tries all counters from 0 on, until its derived key begins
/// with this half.
#[derive(Clone, Copy)]
struct Work {
    cost: u32,
    counter_max: u32,
}

/// The usual work. A phone needs about one second on average, and two seconds at most.
///
/// One core of a mid-range phone with SHA-2 instructions (Cortex-A76 at 2.2 GHz) does about 2
/// million iterations of PBKDF2/SHA-256 per second. All counters from 0 to 1 999 have the same
/// probability. So the client needs 1 000 attempts of 2 000 iterations on average, which are 2
/// million iterations. It needs 4 million iterations at most. If the client had to search for a
/// hash prefix instead, the work would have no maximum.
///
/// The server computes 2 000 iterations (about 0.5 ms) to create a challenge, and two HMACs to
/// verify a solution. In a browser an attempt of 2 000 iterations takes about 1 ms. Each attempt
/// also needs a WebCrypto call, whose overhead of about 0.05 ms is small in comparison.
const WORK: Work = Work { cost: 2_000, counter_max: 2_000 };

/// The difficulty of the hardest challenge. A phone needs about one minute for it on average, and
/// two minutes at most.
pub const DIFFICULTY_MAX: u32 = 60;

/// The JSON member of the signed parameters that contains the difficulty. A challenge of difficulty
/// 1 does not have this member.
const DIFFICULTY: &str = "difficulty";

/// The base64 decoder for payloads. Padding is optional. The URL-safe alphabet is also accepted,
/// because a payload is converted to the standard alphabet before it is decoded.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Creates challenges and verifies solutions. Each replica can also verify solutions of challenges
/// that another replica created.
pub struct Altcha {
    /// The key that signs the parameters. It is in hexadecimal, because the crate expects a text.
    signature_key: Zeroizing<String>,
    /// The key that signs the derived key of a challenge. Because of this signature, the
    /// verification needs no PBKDF2.
    solution_key: Zeroizing<String>,
    work: Work,
    /// Verifies challenges that were created with the previous master key. None if no previous
    /// master key is set.
    before: Option<Box<Altcha>>,
}

/// A correct solution. The caller must still mark `spent_key` as used in the token store. If
/// `spent_key` was already used, the solution is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solved {
    /// A digest with 43 characters. It is the same for all forms in which a solution of this
    /// challenge can be sent.
    pub spent_key: String,
    /// The token store must remember until this time that the solution was used.
    pub expires_at: UnixMillis,
    /// How many times harder the solved challenge was than a usual challenge.
    pub difficulty: u32,
}

/// Why a solution is refused. The client receives the error code `captcha-invalid` in all cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptchaRefusal {
    /// The payload is longer than [`PAYLOAD_BYTES_MAX`].
    TooLong,
    /// The payload is not the base64 of JSON with the required members.
    Malformed,
    /// The signature of the challenge is wrong, so latchkey did not create the challenge.
    Forged,
    Expired,
    /// The derived key is wrong, so the client did not do the work.
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

/// The payload that the widget sends. It also contains a counter and a time. They prove nothing, so
/// they are not read.
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
    /// Creates a provider. `key` is `master.derive("captcha")`.
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

    /// Makes this provider also verify challenges that were created with the previous key. So
    /// solutions stay valid when the operator replaces the master key.
    #[must_use]
    pub fn and_before(self, key: Option<&Secret<[u8; 32]>>) -> Self {
        let before = key.map(|key| Box::new(Self::with_work(key, self.work)));
        Self { before, ..self }
    }

    /// Creates a challenge. It is a JSON object `{parameters, signature}` in the form that ALTCHA's
    /// widget reads. It is valid for [`CHALLENGE_TTL`].
    ///
    /// The client has to do `difficulty` times the usual work. `difficulty` is from 1 to
    /// [`DIFFICULTY_MAX`]. The work of the server is always about 0.5 ms (see `WORK`), because a
    /// higher difficulty only increases the range of the counter.
    ///
    /// # Panics
    /// Never. The crate refuses only unknown algorithms and prefixes that are not hexadecimal, and
    /// this function uses constants for both.
    pub fn challenge(&self, difficulty: u32, now: UnixMillis) -> serde_json::Value {
        let difficulty = difficulty.clamp(1, DIFFICULTY_MAX);
        // The modulo makes some counters more probable than others. This does not matter, because
        // the range has only thousands of values, and the random number has 2^32 possible values.
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

    /// Verifies the value that a client sent as `captcha`. The value is the base64 of `{challenge,
    /// solution}`, in the standard or the URL-safe alphabet, with or without padding.
    ///
    /// The signature is checked first, so forged parameters cannot cause more work.
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

        // The signature is right, so latchkey has written these parameters and can trust them.
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
        // No derived key is passed, so `sign_challenge` does not change the parameters.
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

/// Solves a challenge, and returns the same payload as the widget. Returns `None` if the value is
/// not a challenge.
///
/// This function is for tests and examples. [`WORK`] describes how long it takes.
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
