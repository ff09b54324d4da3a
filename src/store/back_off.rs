//! The login back-off of one account: how many attempts failed, from which clients, and whether one
//! more may be made.
//!
//! This module contains the rules as pure functions. The embedded store runs them in a transaction.
//! Redis has the same rules in `admit.lua`, `reset_attempts.lua`, `cancel_attempt.lua` and
//! `prove_client.lua`. The caller passes the numbers as [`BackOff`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{UnixMillis, millis};

/// If an account's record has more clients than this, an attempt removes the expired ones.
const CLIENTS_MAX: usize = 124;

/// The [`ClientAttempts::open_before`] of an attempt that does not count towards the cap. It is
/// later than every time. A double can represent it exactly, which Lua needs.
const NOT_COUNTED: UnixMillis = (1 << 53) - 1;

/// The settings of the back-off.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// How long a client waits after its n-th failure; the index is n. The last wait applies to all
    /// further failures. There is at least one entry.
    pub waits: &'static [Duration],
    /// The first and the last number of a client's failures at which a captcha replaces the wait.
    /// Both are included.
    pub captcha_failures: (u32, u32),
    /// The cap: after this many failures of all anonymous clients together, each of them needs a
    /// captcha.
    pub failures_max: u32,
    /// How long all anonymous clients wait when the cap is reached. It is also the longest wait
    /// beyond the cap.
    pub cap_wait: Duration,
    /// How much each failure beyond the cap adds to the wait between two attempts of anonymous
    /// clients.
    pub cap_step: Duration,
    pub difficulty_max: u32,
    /// After a new password, this many clients without a failure may log in without a captcha
    /// beyond the cap.
    pub allowance: u32,
    /// How long a client's failures are kept after its last attempt. It is longer than every wait.
    pub client_ttl: Duration,
    /// How long one failure counts towards the cap. Failures fade one after the other, one in each
    /// period of this length.
    pub failure_ttl: Duration,
}

/// The client and the account of an attempt. Both are parts of keys: digests, never an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptKey<'a> {
    /// The account, or the email address if it has no account.
    pub account: &'a str,
    pub client: &'a str,
    /// Whether the client has proven that it belongs to the account.
    pub kind: ClientKind,
}

/// Whether a client has proven that it belongs to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// It has proven nothing. Its failures count towards the cap, and the cap applies to it.
    Anonymous,
    /// A known device or an active session. Only its own back-off applies to it.
    Known,
}

/// The state of the captcha for an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptCaptcha {
    /// Whether a client can get a captcha at all.
    pub available: bool,
    /// Whether a captcha replaces the short waits of a client.
    pub replaces_waits: bool,
    /// The difficulty of the captcha that the client solved. 0 if it solved none.
    pub solved: u32,
}

/// The properties of an attempt besides its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptContext {
    pub captcha: AttemptCaptcha,
    /// Whether a record may be created if the store has none for the account.
    pub may_add: bool,
}

/// Whether one more attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptVerdict {
    /// It may be made. It counts as a failure until it is reset or cancelled.
    Admitted {
        /// The failures of anonymous clients for the account, including this attempt.
        failures: u32,
    },
    /// It must wait. Nothing was counted.
    Wait {
        /// The wait ends after this time. A captcha can still be needed then, and another client
        /// can be first.
        retry_after: Duration,
    },
    /// It needs a captcha of this difficulty. Nothing was counted.
    CaptchaNeeded {
        /// At least 1.
        difficulty: u32,
    },
    /// The store has no record of the account and may not create one. Nothing was counted.
    Full,
}

/// The record of one account. A record in another format counts as expired.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountAttempts {
    /// When the last failure of anonymous clients has faded. [`AccountAttempts::failures`] is
    /// computed from it.
    pub faded_at: UnixMillis,
    /// Beyond the cap, anonymous clients may make an attempt from this time on.
    pub open_at: UnixMillis,
    /// How many anonymous clients without a failure may still make an attempt beyond the cap
    /// without a captcha.
    pub allowance: u32,
    /// The record expires at this time, and never before one of its clients.
    pub expires_at: UnixMillis,
    /// The records of the clients, by client key.
    pub clients: BTreeMap<String, ClientAttempts>,
}

/// The record of one client of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientAttempts {
    /// The attempts that were neither reset nor cancelled.
    pub failures: u32,
    /// The attempts among them that count towards the cap.
    pub counted: u32,
    /// The client may make the next attempt from this time on.
    pub wait_until: UnixMillis,
    /// The record expires at this time.
    pub expires_at: UnixMillis,
    /// Until this time the cap does not apply to the client, because it has proven the mailbox or
    /// the password.
    pub proven_until: UnixMillis,
    /// The value of [`AccountAttempts::open_at`] before the client's last attempt.
    pub open_before: UnixMillis,
    /// Whether the client's last attempt used one of [`AccountAttempts::allowance`].
    pub allowed: bool,
}

impl BackOff {
    fn wait_after(&self, failures: u32) -> Duration {
        let step = usize::try_from(failures).unwrap_or(usize::MAX).min(self.waits.len() - 1);
        self.waits[step]
    }

    /// How long all anonymous clients wait after the failure with the number `failures`.
    fn wait_at_cap(&self, failures: u32, captcha_available: bool) -> Duration {
        let beyond = failures.saturating_sub(self.failures_max);
        if beyond == 0 || !captcha_available {
            return self.cap_wait;
        }
        self.cap_step.saturating_mul(beyond).min(self.cap_wait)
    }

    /// The difficulty of the captcha that an anonymous client needs beyond the cap.
    pub fn difficulty(&self, failures: u32) -> u32 {
        (failures.saturating_sub(self.failures_max) + 1).min(self.difficulty_max)
    }

    /// The greatest number of failures that are counted. Above twice the cap, more failures change
    /// nothing.
    pub(super) fn counted_max(&self) -> u32 {
        self.failures_max * 2
    }
}

impl AccountAttempts {
    /// The failures of anonymous clients that have not faded yet.
    pub fn failures(&self, rules: &BackOff, now: UnixMillis) -> u32 {
        let ttl = millis(rules.failure_ttl).max(1);
        let left = self.faded_at.saturating_sub(now).max(0);
        let count = left / ttl + i64::from(left % ttl > 0);
        u32::try_from(count).unwrap_or(u32::MAX).min(rules.counted_max())
    }

    /// A client's record, or an empty one if it has expired.
    pub fn client(&self, client: &str, now: UnixMillis) -> ClientAttempts {
        self.clients.get(client).copied().filter(|it| it.expires_at > now).unwrap_or_default()
    }

    /// Whether there is nothing to store.
    pub(super) fn is_empty(&self) -> bool {
        self.faded_at == 0 && self.clients.is_empty()
    }

    /// Stores a client's record. The account's record expires no earlier than the client's.
    fn set(&mut self, rules: &BackOff, client: &str, own: ClientAttempts, now: UnixMillis) {
        self.clients.insert(client.to_owned(), own);
        let ttl = now.saturating_add(millis(rules.client_ttl));
        self.expires_at = self.expires_at.max(self.faded_at).max(ttl);
    }

    /// Undoes the effect of a client's last attempt beyond the cap.
    fn reopen(&mut self, own: &mut ClientAttempts) {
        if own.failures > 0 {
            self.open_at = self.open_at.min(own.open_before);
            self.allowance = self.allowance.saturating_add(u32::from(own.allowed));
            own.allowed = false;
        }
    }

    fn remove(&mut self, rules: &BackOff, failures: u32, now: UnixMillis) {
        let ttl = millis(rules.failure_ttl).saturating_mul(i64::from(failures));
        let faded_at = self.faded_at.saturating_sub(ttl);
        self.faded_at = if faded_at > now { faded_at } else { 0 };
    }
}

/// Decides about an attempt. Also returns the changed record if the attempt is admitted.
pub(super) fn admit(
    rules: &BackOff,
    (client, kind): (&str, ClientKind),
    context: AttemptContext,
    stored: Option<AccountAttempts>,
    now: UnixMillis,
) -> (AttemptVerdict, Option<AccountAttempts>) {
    let stored = stored.filter(|it| it.expires_at > now);
    if stored.is_none() && !context.may_add {
        return (AttemptVerdict::Full, None);
    }
    let mut account = stored.unwrap_or_default();
    let mut own = account.client(client, now);
    let is_counted = kind == ClientKind::Anonymous && own.proven_until <= now;
    let failures = account.failures(rules, now);
    let mut wait_until = own.wait_until;
    let mut difficulty = 0;
    let mut uses_allowance = false;
    if is_counted && failures >= rules.failures_max {
        if own.failures == 0 && account.allowance > 0 {
            uses_allowance = true;
        } else {
            wait_until = wait_until.max(account.open_at);
            if context.captcha.available {
                difficulty = rules.difficulty(failures);
            }
        }
    } else if context.captcha.replaces_waits && kind == ClientKind::Anonymous {
        let (first, last) = rules.captcha_failures;
        if (first..=last).contains(&own.failures) {
            if context.captcha.solved == 0 {
                return (AttemptVerdict::CaptchaNeeded { difficulty: 1 }, None);
            }
            wait_until = now;
        }
    }
    if wait_until > now {
        let ms = wait_until.saturating_sub(now).unsigned_abs();
        return (AttemptVerdict::Wait { retry_after: Duration::from_millis(ms) }, None);
    }
    if context.captcha.solved < difficulty {
        return (AttemptVerdict::CaptchaNeeded { difficulty }, None);
    }

    own.failures = own.failures.saturating_add(1);
    own.open_before = if is_counted { account.open_at } else { NOT_COUNTED };
    own.allowed = uses_allowance;
    own.wait_until = now.saturating_add(millis(rules.wait_after(own.failures)));
    own.expires_at = now.saturating_add(millis(rules.client_ttl)).max(own.proven_until);
    if is_counted {
        let ttl = millis(rules.failure_ttl);
        let latest = ttl.saturating_mul(i64::from(rules.counted_max()));
        let faded_at = account.faded_at.max(now).saturating_add(ttl);
        account.faded_at = faded_at.min(now.saturating_add(latest));
        let failures = account.failures(rules, now);
        // A client's count never exceeds the account's count: failures fade, and there is a
        // greatest number of counted failures.
        own.counted = own.counted.saturating_add(1).min(failures);
        if failures >= rules.failures_max {
            let wait = rules.wait_at_cap(failures, context.captcha.available);
            // An attempt that uses the allowance must not shorten the wait of the other clients.
            account.open_at = account.open_at.max(now.saturating_add(millis(wait)));
        }
    }
    account.allowance -= u32::from(uses_allowance);
    account.set(rules, client, own, now);
    if account.clients.len() > CLIENTS_MAX {
        account.clients.retain(|_, it| it.expires_at > now);
    }
    (AttemptVerdict::Admitted { failures: account.failures(rules, now) }, Some(account))
}

/// How long this client would have to wait now, by the same rules. Counts nothing.
pub fn wait_of(
    rules: &BackOff,
    client: (&str, ClientKind),
    context: AttemptContext,
    stored: Option<AccountAttempts>,
    now: UnixMillis,
) -> Duration {
    match admit(rules, client, context, stored, now) {
        (AttemptVerdict::Wait { retry_after }, _) => retry_after,
        _ => Duration::ZERO,
    }
}

/// The record after this client sent the right password: its failures are removed, those of other
/// clients stay. Also returns the number of removed failures.
pub(super) fn reset_attempts(
    rules: &BackOff,
    client: &str,
    stored: Option<AccountAttempts>,
    now: UnixMillis,
) -> Option<(AccountAttempts, u32)> {
    let mut account = stored.filter(|it| it.expires_at > now)?;
    let mut own = account.client(client, now);
    account.reopen(&mut own);
    account.remove(rules, own.counted, now);
    account.clients.remove(client);
    if own.proven_until > now {
        let proven_until = own.proven_until;
        let own = ClientAttempts { proven_until, expires_at: proven_until, ..Default::default() };
        account.clients.insert(client.to_owned(), own);
    }
    Some((account, own.failures))
}

/// The record after an admitted attempt ended without a result. The client has one failure less,
/// and waits no longer than it would without that failure. `None` if there is nothing to cancel.
pub(super) fn cancel_attempt(
    rules: &BackOff,
    (client, kind): (&str, ClientKind),
    stored: Option<AccountAttempts>,
    now: UnixMillis,
) -> Option<AccountAttempts> {
    let mut account = stored.filter(|it| it.expires_at > now)?;
    let mut own = account.client(client, now);
    if own.failures == 0 {
        return None;
    }
    account.reopen(&mut own);
    own.failures -= 1;
    let wait = millis(rules.wait_after(own.failures));
    own.wait_until = own.wait_until.min(now.saturating_add(wait));
    let is_counted = kind == ClientKind::Anonymous && own.proven_until <= now;
    if is_counted && own.counted > 0 {
        own.counted -= 1;
        account.remove(rules, 1, now);
    }
    if own.failures == 0 && own.proven_until <= now {
        account.clients.remove(client);
    } else {
        account.clients.insert(client.to_owned(), own);
    }
    Some(account)
}

/// The record after a new password was set. The client that set it has proven itself. A few clients
/// without a failure may log in for the first time. The failures of other clients stay, and so do
/// their waits.
pub(super) fn prove(
    rules: &BackOff,
    client: &str,
    stored: Option<AccountAttempts>,
    now: UnixMillis,
) -> AccountAttempts {
    let mut account = stored.filter(|it| it.expires_at > now).unwrap_or_default();
    let own = account.client(client, now);
    account.remove(rules, own.counted, now);
    account.allowance = rules.allowance;
    let until = now.saturating_add(millis(rules.client_ttl));
    let own = ClientAttempts { expires_at: until, proven_until: until, ..Default::default() };
    account.set(rules, client, own, now);
    account
}

#[cfg(test)]
#[path = "back_off_tests.rs"]
mod tests;
