//! [`Verifier`]: which provider is in force, and the fallback.
//!
//! With `captcha.fallback = "altcha"` the built-in proof of work counts while the vendor is in error, and only then: a
//! challenge is offered, and an answer to one taken, between the vendor's third failure in a row and its next answer.
//! What a stranger could do with that is written in `docs/captcha.md`.

use std::sync::Arc;

use super::vendor::{Checked, VerificationError};
use super::{Altcha, CaptchaRefusal, DIFFICULTY_MAX, Solved, Vendor};
use crate::clock::UnixMillis;
use crate::config::{CaptchaPoint, CaptchaProvider};
use crate::secret;
use crate::telemetry::labels;

/// What judges captchas. Shared by the pool's workers and the endpoints.
#[derive(Debug)]
pub struct Verifier {
    altcha: Altcha,
    force: Force,
}

#[derive(Debug)]
enum Force {
    None,
    BuiltIn,
    Vendor { vendor: Box<Vendor>, falls_back: bool },
}

/// Whether `GET /api/captcha` gives a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Always: the provider is built in.
    Always,
    /// While the vendor is in error: ask [`super::Captchas::probe`].
    InDoubt,
    /// Never.
    Never,
}

/// An answer that is good if it is spent first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    /// Good, once.
    Good(Solved),
    /// Not good.
    Refused,
}

impl Verifier {
    /// The judge of these settings; `vendor` where they name one.
    pub fn new(
        provider: CaptchaProvider,
        altcha: Altcha,
        vendor: Option<Vendor>,
        falls_back: bool,
    ) -> Arc<Self> {
        let force = match (provider, vendor) {
            (CaptchaProvider::Altcha, _) => Force::BuiltIn,
            (_, Some(vendor)) => Force::Vendor { vendor: Box::new(vendor), falls_back },
            (_, None) => Force::None,
        };
        Arc::new(Self { altcha, force })
    }

    /// Whether anything is judged at all.
    pub fn is_on(&self) -> bool {
        !matches!(self.force, Force::None)
    }

    /// The vendor, where the provider is one.
    pub fn vendor(&self) -> Option<&Vendor> {
        match &self.force {
            Force::Vendor { vendor, .. } => Some(vendor),
            _ => None,
        }
    }

    /// Whether the built-in proof of work counts while the vendor is in error.
    pub fn falls_back(&self) -> bool {
        matches!(self.force, Force::Vendor { falls_back: true, .. })
    }

    /// Whether a challenge is given.
    pub fn offer(&self) -> Offer {
        match self.force {
            Force::BuiltIn => Offer::Always,
            Force::Vendor { falls_back: true, .. } => Offer::InDoubt,
            Force::Vendor { .. } | Force::None => Offer::Never,
        }
    }

    /// A challenge of the built-in provider, `difficulty` times as hard as a usual one; ask [`Verifier::offer`] first.
    pub fn challenge(&self, difficulty: u32, now: UnixMillis) -> serde_json::Value {
        self.altcha.challenge(difficulty, now)
    }

    /// Whether the vendor does not answer, as far as is known without asking.
    pub fn is_in_doubt(&self) -> bool {
        self.vendor().is_some_and(Vendor::is_in_doubt)
    }

    /// Judges an answer, and tells whose it was, as in metrics.
    pub(super) async fn verify(
        &self,
        answer: &super::Solution,
        now: UnixMillis,
    ) -> (labels::CaptchaProvider, Result<Verification, VerificationError>) {
        let Force::Vendor { vendor, falls_back } = &self.force else {
            return (labels::CaptchaProvider::Altcha, Ok(self.work(answer, now)));
        };
        if *falls_back && !is_foreign(&self.altcha.check(&answer.payload, now)) {
            return (labels::CaptchaProvider::Altcha, self.fallback(vendor, answer, now).await);
        }
        let judged = token(vendor, &answer.payload, answer.point, answer.client).await;
        (vendor.driver().provider, judged)
    }

    fn work(&self, answer: &super::Solution, now: UnixMillis) -> Verification {
        match self.altcha.check(&answer.payload, now) {
            Ok(solved) if solved.difficulty >= answer.difficulty => Verification::Good(solved),
            Ok(_) | Err(_) => Verification::Refused,
        }
    }

    /// A proof of work in the vendor's place. The work is checked first: an answer without it costs the vendor nothing.
    async fn fallback(
        &self,
        vendor: &Vendor,
        answer: &super::Solution,
        now: UnixMillis,
    ) -> Result<Verification, VerificationError> {
        let judged = self.work(answer, now);
        if judged == Verification::Refused || vendor.probe().await? {
            return Ok(judged);
        }
        Ok(Verification::Refused)
    }
}

/// Whether the payload is not of the built-in provider's form: then it is the vendor's business.
fn is_foreign(checked: &Result<Solved, CaptchaRefusal>) -> bool {
    matches!(checked, Err(CaptchaRefusal::Malformed | CaptchaRefusal::TooLong))
}

async fn token(
    vendor: &Vendor,
    token: &str,
    point: CaptchaPoint,
    client: std::net::IpAddr,
) -> Result<Verification, VerificationError> {
    Ok(match vendor.check(token, point, client).await? {
        Checked::Refused => Verification::Refused,
        Checked::Good { until } => {
            let named = format!("{}:{token}", vendor.driver().provider.name());
            Verification::Good(Solved {
                spent_key: secret::sha256(named.as_bytes()),
                expires_at: until,
                difficulty: DIFFICULTY_MAX,
            })
        }
    })
}
