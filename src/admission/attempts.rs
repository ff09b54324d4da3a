//! Limits on login attempts and on other attempts at a password. An attempt counts as a failure
//! before the password is verified. If the password is right, the client's failures are removed.

use std::net::IpAddr;
use std::time::Duration;

use super::admit::Admission;
use super::back_off::BACK_OFF;
use super::budgets::{Keys, Scope};
use super::client::Limited;
use super::device::Device;
use super::limiter::{Decision, Headers, seconds_up};
use super::policies::Action;
use super::table::Mode;
use super::worker::AdmissionCommand;
use crate::problem::Unavailable;
use crate::store::back_off;
use crate::store::{AttemptCaptcha, AttemptContext, AttemptKey, AttemptVerdict, ClientKind};
use crate::telemetry::labels::{AttemptDecision, AttemptPolicy, RateDecision};

/// The names that the keys of back-offs contain. `OF_CLIENT` is for an anonymous client, and
/// `OF_ACCOUNT` is for an account.
const OF_CLIENT: &str = "password-checks";
const OF_ACCOUNT: &str = "password-checks-overall";

/// The key of the shared back-off record. While the [`KeyBudget`](crate::store::KeyBudget) is
/// empty, all accounts that have no record of their own are counted in this record.
pub(super) const NEWCOMERS: &str = "newcomers";

/// An attempt costs one unit of the key budget, and one more unit for every five failures of the
/// account. An account with many failures costs more, because an account with n failures is stored
/// for n days with up to n clients. 100 failures take 6 KB for 100 days. This is about 2 000 times
/// as much as one failure, which is stored for one day.
const FAILURES_A_UNIT: u32 = 5;

/// How many units of the key budget an attempt costs. `failures` are those of the account.
const fn cost_of(failures: u32) -> u32 {
    1 + failures / FAILURES_A_UNIT
}

/// The length of an anonymous client's key in characters. 22 characters hold at least 128 bits.
const CLIENT_CHARS: usize = 22;

/// The client that attempts a password.
#[derive(Clone, Debug)]
pub enum AttemptClient {
    /// An anonymous client. It is identified by its IPv4 address (/32) or its IPv6 /64.
    Anonymous(IpAddr),
    /// A known device of the account.
    Device(Device),
    /// A live session of the account, given by its `sid`.
    Session(String),
}

impl AttemptClient {
    pub(super) fn kind(&self) -> ClientKind {
        match self {
            Self::Anonymous(_) => ClientKind::Anonymous,
            Self::Device(_) | Self::Session(_) => ClientKind::Known,
        }
    }

    const fn policy(&self) -> AttemptPolicy {
        match self {
            Self::Anonymous(_) => AttemptPolicy::Anonymous,
            Self::Device(_) | Self::Session(_) => AttemptPolicy::Known,
        }
    }
}

/// The keys of a counted attempt in the token store.
#[derive(Clone, Debug)]
pub struct CountedAttempt {
    account: String,
    client: String,
    kind: ClientKind,
    /// How many units of the key budget the attempt spent.
    cost: u32,
}

impl CountedAttempt {
    pub(super) fn key(&self) -> AttemptKey<'_> {
        AttemptKey { account: &self.account, client: &self.client, kind: self.kind }
    }
}

/// Why a password is not verified.
#[derive(Debug)]
pub enum AttemptRefusal {
    /// The client has to wait.
    Limited(Limited),
    /// The client has to solve a captcha.
    CaptchaNeeded {
        /// How many times harder the captcha is than a usual captcha. 1 is a usual captcha.
        difficulty: u32,
    },
    /// The token store cannot count the attempt.
    Unavailable(Unavailable),
}

impl From<Unavailable> for AttemptRefusal {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl Admission {
    /// Refuses an attempt if the limit of its client is used up. The check itself takes nothing
    /// from the limit. If it refuses, the wait covers both this limit and the back-off, because the
    /// back-off is checked after this limit. An anonymous client is checked here before its account
    /// is looked up.
    ///
    /// # Errors
    /// [`Limited`] if the limit refuses.
    pub async fn look_at_attempt(
        &self,
        address: &str,
        who: &AttemptClient,
        captcha: AttemptCaptcha,
        rate: &mut Option<Headers>,
    ) -> Result<(), Limited> {
        let decision = self.limit_of(who, Mode::Look);
        let Decision::Limited { .. } = decision else { return decision.report(rate) };
        let Err(limited) = decision.enforce(rate, &self.metrics) else { return Ok(()) };
        let wait = self.attempt_wait(address, who, captcha).await;
        Err(Limited { retry_after_s: limited.retry_after_s.max(wait) })
    }

    /// Admits one attempt at the password of `address`, whether the address has an account or not.
    /// The attempt counts as a failure until [`Admission::reset_attempts`] or
    /// [`Admission::cancel_attempt`] is called. The client's limit and the back-off are both
    /// checked. If one of them refuses, the attempt takes nothing from either, and the wait covers
    /// both.
    ///
    /// An anonymous client has its own back-off, and its failures count towards the account's cap.
    /// A known device and a live session each have a limit and a back-off of their own, and the cap
    /// does not apply to them. So anonymous clients cannot lock them out.
    ///
    /// # Errors
    /// [`AttemptRefusal`]. While the token store is down, no password is verified. If each daemon
    /// counted attempts in its own memory instead, a client that makes the store slow would get
    /// more attempts.
    pub async fn admit_attempt(
        &self,
        address: &str,
        who: &AttemptClient,
        captcha: AttemptCaptcha,
        rate: &mut Option<Headers>,
    ) -> Result<CountedAttempt, AttemptRefusal> {
        // The caller has already done this check for an anonymous client.
        if who.kind() == ClientKind::Known {
            let looked = self.look_at_attempt(address, who, captcha, rate).await;
            looked.map_err(AttemptRefusal::Limited)?;
        }
        let attempt = match self.count_attempt(address, who, captcha).await {
            // At the next attempt the limit is checked before the back-off, so the wait must cover
            // the limit as well.
            Err(AttemptRefusal::Limited(Limited { mut retry_after_s })) => {
                if let Decision::Limited { retry_after_s: limit, .. } =
                    self.limit_of(who, Mode::Look)
                {
                    retry_after_s = retry_after_s.max(limit);
                }
                return Err(AttemptRefusal::Limited(Limited { retry_after_s }));
            }
            other => other?,
        };
        // Only an attempt whose password will be verified spends from the limit, so a refused
        // attempt spends nothing. The limit is perhaps used up now, because another request of this
        // client has spent the last unit since this request read the limit.
        match self.limit_of(who, Mode::Spend).enforce(rate, &self.metrics) {
            Ok(()) => Ok(attempt),
            Err(limited) => {
                self.cancel_attempt(&attempt);
                Err(AttemptRefusal::Limited(limited))
            }
        }
    }

    /// Reads the limit of a client, or spends one attempt from it. `mode` decides which.
    fn limit_of(&self, who: &AttemptClient, mode: Mode) -> Decision {
        match who {
            AttemptClient::Anonymous(ip) => self.limiter.ask(Action::Login, *ip, mode),
            AttemptClient::Device(device) => self.limiter.ask_device(&device.id(), mode),
            AttemptClient::Session(sid) => self.limiter.ask_device(sid, mode),
        }
    }

    /// Counts an attempt if the back-off admits it.
    async fn count_attempt(
        &self,
        address: &str,
        who: &AttemptClient,
        captcha: AttemptCaptcha,
    ) -> Result<CountedAttempt, AttemptRefusal> {
        let mut attempt = CountedAttempt {
            account: self.account_key(address),
            client: self.client_key(address, who),
            kind: who.kind(),
            cost: 0,
        };
        if !self.enabled {
            return Ok(attempt);
        }
        let now = self.clock.now();
        let is_known = attempt.kind == ClientKind::Known;
        // Known clients need no key budget. The record of an account holds at most 64 known
        // clients, so its size is bounded.
        let may_add = is_known || self.new_accounts.has_room(now);
        let mut context = AttemptContext { captcha, may_add };
        let mut found = self.store.admit_attempt(&BACK_OFF, attempt.key(), context, now).await?;
        if found == AttemptVerdict::Full {
            if self.full_store_warning.is_due(now) {
                tracing::warn!(
                    "the token store contains rate_limit.keys_max failed logins, the maximum: all \
                     accounts without an entry share one back-off"
                );
            }
            NEWCOMERS.clone_into(&mut attempt.account);
            context.may_add = true;
            found = self.store.admit_attempt(&BACK_OFF, attempt.key(), context, now).await?;
        }
        let (word, refusal) = match found {
            AttemptVerdict::Admitted { failures } => {
                attempt.cost = cost_of(failures);
                self.new_accounts.spend(attempt.cost, now);
                (AttemptDecision::Allowed, None)
            }
            AttemptVerdict::CaptchaNeeded { difficulty } => {
                (AttemptDecision::Captcha, Some(AttemptRefusal::CaptchaNeeded { difficulty }))
            }
            AttemptVerdict::Wait { retry_after } => {
                let retry_after_s = seconds_up(retry_after).max(1);
                (AttemptDecision::Limited, Some(AttemptRefusal::Limited(Limited { retry_after_s })))
            }
            // This verdict is impossible at this point, because `may_add` is set.
            AttemptVerdict::Full => (
                AttemptDecision::Limited,
                Some(AttemptRefusal::Limited(Limited { retry_after_s: 1 })),
            ),
        };
        self.metrics.rate_limit_decisions.one(RateDecision::Attempt(who.policy(), word));
        refusal.map_or(Ok(attempt), Err)
    }

    /// Returns how many seconds the back-off would make this client wait now. The call counts
    /// nothing. It returns 0 if the token store does not respond.
    async fn attempt_wait(
        &self,
        address: &str,
        who: &AttemptClient,
        captcha: AttemptCaptcha,
    ) -> u64 {
        if !self.enabled {
            return 0;
        }
        let now = self.clock.now();
        let stored = self.store.attempts(&self.account_key(address), now).await;
        let client = self.client_key(address, who);
        let wait = stored.map_or(Duration::ZERO, |stored| {
            let context = AttemptContext { captcha, may_add: true };
            back_off::wait_of(&BACK_OFF, (&client, who.kind()), context, stored, now)
        });
        seconds_up(wait)
    }

    /// Removes the failures of this client after it sent the right password. The failures of other
    /// clients stay.
    ///
    /// # Errors
    /// [`Unavailable`] if the token store is down. The attempt then stays counted as a failure
    /// until the client's next successful attempt removes it.
    pub async fn reset_attempts(&self, attempt: &CountedAttempt) -> Result<(), Unavailable> {
        if !self.enabled {
            return Ok(());
        }
        let now = self.clock.now();
        let removed = self.store.reset_attempts(&BACK_OFF, attempt.key(), now).await?;
        self.new_accounts.refund(removed.saturating_sub(1) + attempt.cost, now);
        Ok(())
    }

    /// Cancels an attempt whose password was not verified because the hash was not computed in time
    /// or the password worker crashed. The client has learned nothing about the password, so the
    /// attempt must not count as a failure. The admission worker cancels the attempt in the
    /// background. If a client disconnects before the response, its attempt is not cancelled.
    pub fn cancel_attempt(&self, attempt: &CountedAttempt) {
        if !self.enabled {
            return;
        }
        self.new_accounts.refund(attempt.cost, self.clock.now());
        let command = AdmissionCommand::Cancel { attempt: attempt.clone() };
        if let Err(error) = self.pool.nudge(command) {
            tracing::warn!(
                error = %error,
                "cannot cancel a login attempt whose password was not checked: it counts as a \
                 failed login"
            );
        }
    }

    /// Records that this client set a new password for the account. The client has proven that it
    /// belongs to the account. So for a day the cap does not apply to this client.
    ///
    /// # Errors
    /// [`Unavailable`] if the token store is down. The client is then treated like any other
    /// anonymous client.
    pub async fn prove_client(&self, address: &str, ip: IpAddr) -> Result<(), Unavailable> {
        if !self.enabled {
            return Ok(());
        }
        let client = self.client_key(address, &AttemptClient::Anonymous(ip));
        let account = self.account_key(address);
        self.store.prove_client(&BACK_OFF, &account, &client, self.clock.now()).await
    }

    fn account_key(&self, address: &str) -> String {
        account_key(&self.keys, address)
    }

    /// The key of a client in the account's record. Each known client gets one of 64 keys. So a
    /// record has at most 64 keys of known clients, however often they log in.
    fn client_key(&self, address: &str, who: &AttemptClient) -> String {
        let id = match who {
            AttemptClient::Anonymous(ip) => return client_key_of(&self.keys, address, *ip),
            AttemptClient::Device(device) => device.id(),
            AttemptClient::Session(sid) => sid.clone(),
        };
        // Ids are random base64url, so their first character has 64 possible values.
        format!("known-{}", id.chars().next().unwrap_or('-'))
    }
}

pub(super) fn account_key(keys: &Keys, address: &str) -> String {
    keys.key(OF_ACCOUNT, address, Scope::All)
}

/// The key of an anonymous client in the account's record.
pub(super) fn client_key_of(keys: &Keys, address: &str, ip: IpAddr) -> String {
    let mut key = keys.key(OF_CLIENT, address, Scope::Client(ip));
    key.truncate(CLIENT_CHARS);
    key
}

#[cfg(test)]
mod tests {
    use super::super::back_off::FAILURES_MAX;
    use super::*;

    #[test]
    fn the_documentation_says_what_a_failure_costs_at_most() {
        assert_eq!(cost_of(0), 1);
        // The store counts at most twice as many failures as the cap.
        let page = include_str!("../../docs/limits.md").replace('\n', " ");
        let (at_cap, most) = (cost_of(FAILURES_MAX), cost_of(2 * FAILURES_MAX));
        assert!(page.contains(&format!("for {at_cap} at the cap ({FAILURES_MAX} failures)")));
        let most = format!("for at most {most} (at {} failures", 2 * FAILURES_MAX);
        assert!(page.contains(&most), "{most}");
    }
}
