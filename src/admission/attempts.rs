//! Attempts at a password. An attempt counts as a failure before the password is verified, and the
//! failures are reset if the password was right.

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

/// The names of the back-offs in keys: the first of an anonymous client, the second of an account.
const OF_CLIENT: &str = "password-checks";
const OF_ACCOUNT: &str = "password-checks-overall";

/// The key of one record that stands for all accounts that are new to the store while the
/// [`KeyBudget`](crate::store::KeyBudget) is spent.
pub(super) const NEWCOMERS: &str = "newcomers";

/// An attempt costs one unit of the key budget, and one more for every five failures of the
/// account. The reason: an account with n failures is stored for n days with up to n clients. 100
/// failures take 6 KB for 100 days, about 2 000 times as much as one failure for one day.
const FAILURES_A_UNIT: u32 = 5;

/// The length of an anonymous client's key in characters. 22 characters hold at least 128 bits.
const CLIENT_CHARS: usize = 22;

/// The client that attempts a password.
#[derive(Clone, Debug)]
pub enum AttemptClient {
    /// An anonymous client, by its /32 or /64.
    Anonymous(IpAddr),
    /// A known device of the account.
    Device(Device),
    /// A live session of the account, by its `sid`.
    Session(String),
}

impl AttemptClient {
    fn kind(&self) -> ClientKind {
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
    /// How many units it took from the key budget.
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
        /// How many times as hard as a usual captcha, at least 1.
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
    /// Refuses an attempt if the limit of its client is spent, and takes nothing. The wait also
    /// covers the back-off, which would refuse next. An anonymous client is refused here before its
    /// account is looked up.
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
    /// The attempt counts as a failure until it is reset or cancelled. The limit of the client and
    /// the back-off are evaluated together. If one of them refuses, nothing is taken, and the wait
    /// covers both.
    ///
    /// An anonymous client has its own back-off and counts towards the account's cap. A known
    /// device and a live session have a limit and a back-off of their own and no cap, so that
    /// anonymous clients cannot lock them out.
    ///
    /// # Errors
    /// [`AttemptRefusal`]. While the store is down no password is verified. If this daemon counted
    /// by itself, its attempts would come in addition to the shared ones, and a client could gain
    /// them by making the store slow.
    pub async fn admit_attempt(
        &self,
        address: &str,
        who: &AttemptClient,
        captcha: AttemptCaptcha,
        rate: &mut Option<Headers>,
    ) -> Result<CountedAttempt, AttemptRefusal> {
        // An anonymous client has passed this check before.
        if who.kind() == ClientKind::Known {
            let looked = self.look_at_attempt(address, who, captcha, rate).await;
            looked.map_err(AttemptRefusal::Limited)?;
        }
        let attempt = match self.count_attempt(address, who, captcha).await {
            // The next attempt meets the limit first, so the wait also covers the limit.
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
        // Only an attempt that leads to a hash is taken from the limit, so a refusal costs nothing.
        // Another request of this client may have taken the last one since the limit was read.
        match self.limit_of(who, Mode::Spend).enforce(rate, &self.metrics) {
            Ok(()) => Ok(attempt),
            Err(limited) => {
                self.cancel_attempt(&attempt);
                Err(AttemptRefusal::Limited(limited))
            }
        }
    }

    /// Reads the limit of a client, or takes one from it.
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
        // Known clients do not need the budget: an account has at most 64 of them here, so the size
        // of its record is bounded.
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
                attempt.cost = 1 + failures / FAILURES_A_UNIT;
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
            // Cannot happen because `may_add` is set.
            AttemptVerdict::Full => (
                AttemptDecision::Limited,
                Some(AttemptRefusal::Limited(Limited { retry_after_s: 1 })),
            ),
        };
        self.metrics.rate_limit_decisions.one(RateDecision::Attempt(who.policy(), word));
        refusal.map_or(Ok(attempt), Err)
    }

    /// How many seconds the back-off would make this client wait now. Counts nothing. Returns 0 if
    /// the store does not respond.
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

    /// Removes the failures of this client after a right password. Those of other clients stay.
    ///
    /// # Errors
    /// When the store is down. The attempt then counts as a failure, and the next success removes
    /// it.
    pub async fn reset_attempts(&self, attempt: &CountedAttempt) -> Result<(), Unavailable> {
        if !self.enabled {
            return Ok(());
        }
        let now = self.clock.now();
        let removed = self.store.reset_attempts(&BACK_OFF, attempt.key(), now).await?;
        self.new_accounts.refund(removed.saturating_sub(1) + attempt.cost, now);
        Ok(())
    }

    /// Cancels an attempt that got no verdict because the hash was not computed in time or its
    /// worker crashed. A worker does it in the background. The client has learned nothing about the
    /// password. An attempt of a client that disconnects before the response stays counted.
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

    /// Records that this client set a new password of the account. The client has proven that it
    /// belongs to the account, so the cap does not apply to it for a day.
    ///
    /// # Errors
    /// When the store is down. The client is then treated as any anonymous client.
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

    /// The key of a client in the account's record. A known client has one of 64 keys, so an
    /// account has at most 64 of them, however often its clients log in.
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
