//! [`Verifier`]: the active captcha provider and its fallback.
//!
//! If `captcha.fallback = "altcha"` is set, the built-in proof of work is accepted while the vendor
//! fails, and only then. After three failures of the vendor in a row, challenges are offered and
//! solutions are accepted. This ends with the next response of the vendor. `docs/captcha.md`
//! describes how a client could misuse the fallback.

use std::sync::Arc;

use super::vendor::{Checked, VerificationError};
use super::{Altcha, CaptchaRefusal, DIFFICULTY_MAX, Solved, Vendor};
use crate::clock::UnixMillis;
use crate::config::{CaptchaPoint, CaptchaProvider};
use crate::secret;
use crate::telemetry::labels;

/// Verifies captchas. All captcha workers and the endpoints share one verifier.
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

/// Whether `GET /api/captcha` returns a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It always returns a challenge, because the built-in provider is active.
    Always,
    /// It returns a challenge only while the vendor fails. [`super::Captchas::probe`] finds out
    /// whether the vendor fails.
    InDoubt,
    Never,
}

/// The result of verifying a solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    /// The solution is correct. The caller must still mark it as used, and it is valid only if it
    /// was not used before.
    Good(Solved),
    Refused,
}

impl Verifier {
    /// Creates a verifier for the settings. `vendor` is the vendor that the settings select, if
    /// they select one.
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

    /// Whether captchas are switched on. If `captcha.provider` is `none`, nothing is verified.
    pub fn is_on(&self) -> bool {
        !matches!(self.force, Force::None)
    }

    /// The vendor. `None` if the built-in provider is active or captchas are switched off.
    pub fn vendor(&self) -> Option<&Vendor> {
        match &self.force {
            Force::Vendor { vendor, .. } => Some(vendor),
            _ => None,
        }
    }

    /// Whether the built-in proof of work is accepted while the vendor fails.
    pub fn falls_back(&self) -> bool {
        matches!(self.force, Force::Vendor { falls_back: true, .. })
    }

    /// When clients can get a challenge of the built-in provider.
    pub fn offer(&self) -> Offer {
        match self.force {
            Force::BuiltIn => Offer::Always,
            Force::Vendor { falls_back: true, .. } => Offer::InDoubt,
            Force::Vendor { .. } | Force::None => Offer::Never,
        }
    }

    /// Creates a challenge of the built-in provider, which needs `difficulty` times the usual work.
    /// Check [`Verifier::offer`] before you call this function.
    pub fn challenge(&self, difficulty: u32, now: UnixMillis) -> serde_json::Value {
        self.altcha.challenge(difficulty, now)
    }

    /// Whether the vendor is known to fail. This call sends no request to the vendor.
    pub fn is_in_doubt(&self) -> bool {
        self.vendor().is_some_and(Vendor::is_in_doubt)
    }

    /// Verifies a solution. It also returns the provider that the solution belongs to, for the
    /// metrics.
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

    /// Verifies a proof of work that a client sent in place of the vendor's token. The proof of
    /// work is checked before the vendor is probed, so an invalid solution causes no request to the
    /// vendor.
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

/// Whether the payload does not have the form of the built-in provider. Such a payload is a token
/// of the vendor.
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
