//! The back-off for wrong codes of a second factor.
//!
//! It is separate from the back-off for passwords, and a client reaches it only with the right
//! password or with a session. The rules are in the token store ([`crate::store::back_off`]). Like
//! an attempt at a password, an attempt counts as a failure before the code is checked, so that
//! parallel attempts cannot bypass the limit.

use std::net::IpAddr;
use std::time::Duration;

use uuid::Uuid;

use super::admit::Admission;
use super::attempts::{AttemptClient, AttemptRefusal};
use super::budgets::{Keys, Scope};
use super::client::Limited;
use super::limiter::seconds_up;
use crate::clock::millis;
use crate::problem::Unavailable;
use crate::store::{
    AttemptCaptcha, AttemptContext, AttemptKey, AttemptVerdict, BackOff, ClientKind, Spend, Store,
};
use crate::telemetry::labels::{AttemptDecision, AttemptPolicy, RateDecision};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The names in the keys of the back-off: of the logins and of the sessions of an account, and of
/// an anonymous client.
const OF_LOGINS: &str = "factor-codes-overall";
const OF_SESSIONS: &str = "factor-codes-sessions";
const OF_CLIENT: &str = "factor-codes";
/// The name in the key that limits how often a mailed link removes wrong codes.
const RESET: &str = "factor-codes-reset";

/// After this many consecutive wrong TOTP codes of all unknown clients together, no unknown client
/// can use TOTP for an hour. The sessions of the account have the same cap of their own, so that
/// nobody without a session can close it. NIST SP 800-63B-4 §3.2.2 sets this maximum.
const FAILURES_MAX: u32 = 100;

/// How long a client waits after its `failures`-th consecutive wrong code for one account. Failures
/// 1 to 9 cause no wait, and the 10th causes 30 s. From the 10th failure on, the wait doubles with
/// each failure, up to an hour.
const fn failure_wait(failures: u32) -> Duration {
    match failures {
        0..=9 => Duration::ZERO,
        // This arm ends at 16 failures, because 30 s doubled 7 times is more than an hour.
        10..=16 => Duration::from_secs(30 << (failures - 10)),
        _ => HOUR,
    }
}

/// One entry for each number of failures from 0 to 16, and one entry for all higher numbers.
const STEPS: usize = 18;

static WAITS: [Duration; STEPS] = {
    let mut waits = [Duration::ZERO; STEPS];
    let (mut step, mut failures) = (0, 0);
    while step < STEPS {
        waits[step] = failure_wait(failures);
        (step, failures) = (step + 1, failures + 1);
    }
    waits
};

pub(super) static CODES: BackOff = BackOff {
    waits: &WAITS,
    // No captcha replaces a wait.
    captcha_failures: (1, 0),
    failures_max: FAILURES_MAX,
    cap_wait: HOUR,
    cap_step: HOUR,
    difficulty_max: 1,
    allowance: 0,
    client_ttl: DAY,
    failure_ttl: DAY,
    failures_outlive_clients: false,
};

const NO_CAPTCHA: AttemptCaptcha =
    AttemptCaptcha { available: false, replaces_waits: false, solved: 0 };

/// Whether the cap over all clients applies to a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeCap {
    /// The code has 6 digits, so an attacker with many clients could guess it. A device on which
    /// the user has proven a second factor is exempt, so that an attacker cannot lock it out.
    Applies,
    /// The code has 50 bits, so nobody can guess it. Or the session has two factors already.
    None,
}

/// A counted attempt at a code.
#[derive(Clone, Debug)]
pub struct CountedCode {
    account: String,
    client: String,
    kind: ClientKind,
}

impl Admission {
    /// Admits one attempt at a code of an account's second factor. The attempt counts as a failure
    /// until [`Admission::forget_codes`] or [`Admission::cancel_code`] is called.
    ///
    /// # Errors
    /// [`AttemptRefusal`]. While the token store is down, no code is checked.
    pub async fn admit_code(
        &self,
        user: Uuid,
        who: &AttemptClient,
        cap: CodeCap,
    ) -> Result<CountedCode, AttemptRefusal> {
        let kind = match (cap, who) {
            (CodeCap::None, _) => ClientKind::Known,
            (CodeCap::Applies, AttemptClient::Device(device)) if device.proof().is_some() => {
                ClientKind::Known
            }
            // A thief of the password has perhaps got many devices before the account had a factor.
            // Every login on a trusted device opens a session. Each device and each session has a
            // back-off of its own, so only the cap limits a thief.
            (CodeCap::Applies, _) => ClientKind::Anonymous,
        };
        let account = match who {
            AttemptClient::Session(_) => sessions_key(&self.keys, user),
            AttemptClient::Anonymous(_) | AttemptClient::Device(_) => code_key(&self.keys, user),
        };
        let code = CountedCode { account, client: self.client_of(user, who), kind };
        if !self.enabled {
            return Ok(code);
        }
        let context = AttemptContext { captcha: NO_CAPTCHA, may_add: true };
        let verdict = self.store.admit_attempt(&CODES, code.key(), context, self.clock.now());
        let (decision, refusal) = match verdict.await? {
            AttemptVerdict::Admitted { .. } => (AttemptDecision::Allowed, None),
            AttemptVerdict::Wait { retry_after } => {
                let retry_after_s = seconds_up(retry_after).max(1);
                (AttemptDecision::Limited, Some(Limited { retry_after_s }))
            }
            // These verdicts are impossible, because there is no captcha and a record may be added.
            AttemptVerdict::CaptchaNeeded { .. } | AttemptVerdict::Full => {
                (AttemptDecision::Limited, Some(Limited { retry_after_s: 1 }))
            }
        };
        let decision = RateDecision::Attempt(AttemptPolicy::FactorCode, decision);
        self.metrics.rate_limit_decisions.one(decision);
        refusal.map_or(Ok(code), |limited| Err(AttemptRefusal::Limited(limited)))
    }

    /// Removes all wrong codes of an account, after a right code or with a new password.
    pub async fn forget_codes(&self, user: Uuid) -> Result<(), Unavailable> {
        if !self.enabled {
            return Ok(());
        }
        forget_codes(&self.store, &self.keys, user).await.map(drop)
    }

    /// Does the same as [`Admission::forget_codes`], but at most once a day for each account.
    pub async fn forget_codes_once_a_day(&self, user: Uuid) -> Result<(), Unavailable> {
        if !self.enabled {
            return Ok(());
        }
        let (now, key) = (self.clock.now(), self.keys.key(RESET, &user.to_string(), Scope::All));
        match self.store.spend_once(&key, now + millis(DAY), now).await? {
            Spend::First => self.forget_codes(user).await,
            Spend::Again => Ok(()),
        }
    }

    /// Stops counting an attempt whose code was not checked.
    pub async fn cancel_code(&self, code: &CountedCode) -> Result<(), Unavailable> {
        if !self.enabled {
            return Ok(());
        }
        self.store.cancel_attempt(&CODES, code.key(), self.clock.now()).await
    }

    fn client_of(&self, user: Uuid, who: &AttemptClient) -> String {
        match who {
            AttemptClient::Anonymous(ip) => code_client_key(&self.keys, user, *ip),
            AttemptClient::Device(device) => known_key("device", &device.id()),
            AttemptClient::Session(sid) => known_key("session", sid),
        }
    }
}

/// Removes all wrong codes of an account. Returns whether there were any.
pub async fn forget_codes(store: &Store, keys: &Keys, user: Uuid) -> Result<bool, Unavailable> {
    let (logins, sessions) = (code_key(keys, user), sessions_key(keys, user));
    let (of_logins, of_sessions) = futures_util::future::join(
        store.forget_attempts(&logins),
        store.forget_attempts(&sessions),
    )
    .await;
    Ok(of_logins? | of_sessions?)
}

/// The key of the account's logins. It is made from the account's id, so that it stays the same
/// when the account changes its email address.
pub(super) fn code_key(keys: &Keys, user: Uuid) -> String {
    keys.key(OF_LOGINS, &user.to_string(), Scope::All)
}

/// The key of the account's sessions.
pub(super) fn sessions_key(keys: &Keys, user: Uuid) -> String {
    keys.key(OF_SESSIONS, &user.to_string(), Scope::All)
}

/// The key of an anonymous client in the account's record.
pub(super) fn code_client_key(keys: &Keys, user: Uuid, ip: IpAddr) -> String {
    keys.key(OF_CLIENT, &user.to_string(), Scope::Client(ip))
}

/// The key of a known device or of a session in the account's record. Ids are random base64url, so
/// two characters of them give 4096 keys of each kind.
fn known_key(kind: &str, id: &str) -> String {
    format!("{kind}-{}", id.chars().take(2).collect::<String>())
}

impl CountedCode {
    fn key(&self) -> AttemptKey<'_> {
        AttemptKey { account: &self.account, client: &self.client, kind: self.kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_wrong_codes_are_free_and_then_the_wait_doubles_to_an_hour() {
        let waits: Vec<u64> = CODES.waits.iter().map(Duration::as_secs).collect();
        let expected = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600];
        assert_eq!(waits, expected);
        assert!(CODES.waits.iter().all(|wait| *wait < CODES.client_ttl));
    }
}
