//! The built-in captcha: ALTCHA's proof of work, version 2, with PBKDF2/SHA-256.
//!
//! A challenge is signed and kept nowhere. The `altcha` crate makes and signs it; judging is done here, because the
//! crate's `verify_solution` reads the system's clock and derives the key again. What is signed is the canonical JSON
//! of the parameters (nonce, salt, cost, expiry, …). What is not signed, and therefore means nothing here: base64's
//! alphabet, JSON's spelling and unknown members, the solution's counter and time, the case of its hex digits. So an
//! answer is identified by the challenge's nonce alone.

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

/// A payload's greatest length in bytes, in base64. The widget's is about 700.
pub const PAYLOAD_BYTES_MAX: usize = 4096;

/// How long a challenge can be answered.
pub const CHALLENGE_TTL: Duration = Duration::from_mins(10);

/// The work of a challenge. The server draws a counter below `counter_max` and publishes half of the key that PBKDF2
/// derives from it in `cost` iterations; the client counts up from 0 until it meets that half.
#[derive(Clone, Copy)]
struct Work {
    cost: u32,
    counter_max: u32,
}

/// About a second of a phone's work, and never more than two.
///
/// One core of a middling phone with SHA-2 instructions (Cortex-A76 at 2.2 GHz) does some 2 million iterations of
/// PBKDF2/SHA-256 a second. The counter is even over 0..2 000, so 1 000 tries of 2 000 iterations on average: 2 million,
/// at most 4 million. A counter that is drawn has no long tail, as trying for a prefix would have. We pay 2 000 iterations
/// (about half a millisecond) for making a challenge and two HMACs for judging an answer; 2 000 iterations also keep a
/// browser's cost of calling WebCrypto (about 0.05 ms) small beside the millisecond of each try.
const WORK: Work = Work { cost: 2_000, counter_max: 2_000 };

/// The hardest challenge: about a minute of a phone's work on average, and two at most.
pub const DIFFICULTY_MAX: u32 = 60;

/// The member of the signed parameters that holds the difficulty of a challenge; a usual one has none.
const DIFFICULTY: &str = "difficulty";

/// Either alphabet is mapped to this one before decoding; padding is optional.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Makes challenges and judges answers. Any replica judges what another one made.
pub struct Altcha {
    /// Signs the parameters. Hex, since the crate takes a text.
    signature_key: Zeroizing<String>,
    /// Signs the derived key, so that judging needs no PBKDF2.
    solution_key: Zeroizing<String>,
    work: Work,
    /// What judges the challenges of the master key before, while that one is still set.
    before: Option<Box<Altcha>>,
}

/// A good answer. It counts only if the caller spends `spent_key` in the store, and is the first to do so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solved {
    /// The same for every form in which an answer to this challenge can be sent; a digest of 43 characters.
    pub spent_key: String,
    /// Until when the store must remember it.
    pub expires_at: UnixMillis,
    /// How many times as hard as a usual one it was.
    pub difficulty: u32,
}

/// Why an answer is refused. A client is told `captcha-invalid`, whichever it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptchaRefusal {
    /// Over [`PAYLOAD_BYTES_MAX`].
    TooLong,
    /// Not base64 of JSON of the payload's form.
    Malformed,
    /// The challenge is not as we signed it.
    Forged,
    /// The challenge has expired.
    Expired,
    /// The work was not done.
    Unsolved,
}

impl fmt::Display for CaptchaRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the captcha's payload is too long",
            Self::Malformed => "the captcha's payload cannot be read",
            Self::Forged => "the captcha's challenge is not ours",
            Self::Expired => "the captcha's challenge has expired",
            Self::Unsolved => "the captcha's challenge is not solved",
        })
    }
}

impl Error for CaptchaRefusal {}

/// What the widget sends. Its counter and time prove nothing and are not read.
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
    /// A provider under a key of its own (`master.derive("captcha")`).
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

    /// Judges challenges under the key before as well, so that a new master key loses nobody's work.
    #[must_use]
    pub fn and_before(self, key: Option<&Secret<[u8; 32]>>) -> Self {
        let before = key.map(|key| Box::new(Self::with_work(key, self.work)));
        Self { before, ..self }
    }

    /// A fresh challenge, `{parameters, signature}`, as ALTCHA's widget takes it; good for [`CHALLENGE_TTL`].
    ///
    /// The client's work is `difficulty` times as much as usual, 1 to [`DIFFICULTY_MAX`]. Ours stays half a millisecond (see
    /// `WORK`): the counter is drawn from a larger range.
    ///
    /// # Panics
    /// Never: the crate refuses unknown algorithms and prefixes that are no hex, and both are constants here.
    pub fn challenge(&self, difficulty: u32, now: UnixMillis) -> serde_json::Value {
        let difficulty = difficulty.clamp(1, DIFFICULTY_MAX);
        // Too small a bias to matter: 2^32 over a range of thousands.
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

    /// Judges what a client sent as `captcha`: base64 (either alphabet, padding optional) of `{challenge, solution}`.
    ///
    /// Forged parameters are refused by the signature, before any work that they could ask for.
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

        // Signed by us from here on.
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
        // Signing again without a derived key leaves the parameters as they came.
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

/// Does the work of a challenge and answers with the payload, as the widget would; none if it is no challenge.
///
/// For tests and examples: it takes as long as [`WORK`] says.
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
