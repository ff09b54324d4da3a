//! The login back-off of one account: how many attempts have failed, which clients made them, and
//! whether a client may make another attempt.
//!
//! This module contains the rules as pure functions. The embedded store runs them in a transaction.
//! Redis has the same rules in `admit.lua`, `reset_attempts.lua`, `cancel_attempt.lua` and
//! `prove_client.lua`. The caller passes the waits and limits as [`BackOff`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attempt::{AttemptContext, AttemptVerdict, ClientKind};
use crate::clock::{UnixMillis, millis};

/// If an account's record contains more clients than this number, the next attempt removes the
/// clients that have expired.
const CLIENTS_MAX: usize = 124;

/// The [`ClientAttempts::open_before`] of an attempt that does not count towards the cap. This
/// value is later than every real time. Lua stores numbers as doubles, and a double can represent
/// this value exactly.
const NOT_COUNTED: UnixMillis = (1 << 53) - 1;

/// The settings of the login back-off.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// The waits of a client. The entry with the index n is the wait after the client's n-th
    /// failure. The last entry applies to all further failures. There is at least one entry.
    pub waits: &'static [Duration],
    /// If the number of a client's failures is in this range, a captcha can replace the wait. The
    /// first and the last number are in the range.
    pub captcha_failures: (u32, u32),
    /// The cap. When all anonymous clients together have made this many failed attempts, each
    /// anonymous client needs a captcha.
    pub failures_max: u32,
    /// How long all anonymous clients wait when the cap is reached. No wait beyond the cap is
    /// longer than this.
    pub cap_wait: Duration,
    /// How much each failure beyond the cap adds to the wait between two attempts of anonymous
    /// clients.
    pub cap_step: Duration,
    pub difficulty_max: u32,
    /// When a new password was set, this many clients without a failure may log in without a
    /// captcha, even if the cap is reached.
    pub allowance: u32,
    /// How long a client's failures are stored after the client's last attempt. This time is longer
    /// than every wait.
    pub client_ttl: Duration,
    /// How long one failure counts towards the cap. Failures fade one after the other: in each
    /// period of this length, one failure stops counting.
    pub failure_ttl: Duration,
    /// Whether failures count towards the cap for longer than `client_ttl` after the last attempt.
    /// If not, an account without an attempt for `client_ttl` has no failures.
    pub failures_outlive_clients: bool,
}

/// The back-off record of one account. A record in another format counts as expired.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountAttempts {
    /// When the last failure of anonymous clients has faded. [`AccountAttempts::failures`] computes
    /// the number of failures from this time.
    pub faded_at: UnixMillis,
    /// If the cap is reached, anonymous clients may make an attempt from this time on.
    pub open_at: UnixMillis,
    /// How many anonymous clients without a failure may still make an attempt without a captcha,
    /// although the cap is reached.
    pub allowance: u32,
    /// The record expires at this time. It never expires before the record of one of its clients.
    pub expires_at: UnixMillis,
    /// The records of the clients, by client key.
    pub clients: BTreeMap<String, ClientAttempts>,
}

/// The back-off record of one client for an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientAttempts {
    /// The number of the client's attempts that were neither reset nor cancelled.
    pub failures: u32,
    /// The number of the client's failures that count towards the cap.
    pub counted: u32,
    /// The client may make the next attempt from this time on.
    pub wait_until: UnixMillis,
    /// The record expires at this time.
    pub expires_at: UnixMillis,
    /// Until this time the cap does not apply to the client, because the client has proven that it
    /// can read the account's mail or knows the password.
    pub proven_until: UnixMillis,
    /// The value of [`AccountAttempts::open_at`] before the client's last attempt.
    pub open_before: UnixMillis,
    /// Whether the client's last attempt used one unit of [`AccountAttempts::allowance`].
    pub allowed: bool,
}

impl BackOff {
    fn wait_after(&self, failures: u32) -> Duration {
        let step = usize::try_from(failures).unwrap_or(usize::MAX).min(self.waits.len() - 1);
        self.waits[step]
    }

    /// How long all anonymous clients wait after a failure that reaches or exceeds the cap.
    /// `failures` is the number of counted failures, including this failure.
    fn wait_at_cap(&self, failures: u32, captcha_available: bool) -> Duration {
        let beyond = failures.saturating_sub(self.failures_max);
        if beyond == 0 || !captcha_available {
            return self.cap_wait;
        }
        self.cap_step.saturating_mul(beyond).min(self.cap_wait)
    }

    /// The difficulty of the captcha that an anonymous client needs if the cap is reached.
    pub fn difficulty(&self, failures: u32) -> u32 {
        (failures.saturating_sub(self.failures_max) + 1).min(self.difficulty_max)
    }

    /// The greatest number of failures that are counted. It is twice the cap, because more failures
    /// would change nothing.
    pub(super) fn counted_max(&self) -> u32 {
        self.failures_max * 2
    }
}

impl AccountAttempts {
    /// The number of failures of anonymous clients that have not faded yet.
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

    /// Whether the record is empty, so that it need not be stored.
    pub(super) fn is_empty(&self) -> bool {
        self.faded_at == 0 && self.clients.is_empty()
    }

    /// Stores a client's record. The account's record never expires before the client's record.
    fn set(&mut self, rules: &BackOff, client: &str, own: ClientAttempts, now: UnixMillis) {
        self.clients.insert(client.to_owned(), own);
        let ttl = now.saturating_add(millis(rules.client_ttl));
        let faded_at = if rules.failures_outlive_clients { self.faded_at } else { 0 };
        self.expires_at = self.expires_at.max(faded_at).max(ttl);
    }

    /// If the record still has more than [`CLIENTS_MAX`] clients, removes the client whose record
    /// expires first, so that an attacker with many addresses cannot make the record large. The
    /// client `current` and proven clients stay.
    fn forget_oldest(&mut self, current: &str, now: UnixMillis) {
        if self.clients.len() <= CLIENTS_MAX {
            return;
        }
        let others =
            self.clients.iter().filter(|(id, it)| id.as_str() != current && it.proven_until <= now);
        let oldest = others.min_by_key(|(id, it)| (it.expires_at, (*id).clone()));
        if let Some(id) = oldest.map(|(id, _)| id.clone()) {
            self.clients.remove(&id);
        }
    }

    /// If a client's last attempt was beyond the cap, undoes the effect of this attempt on the
    /// other clients.
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

/// Decides about an attempt. If the attempt is admitted, also returns the changed record of the
/// account.
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
        // A client's count must never be greater than the account's count. The account's count can
        // be lower than the sum of all failures, because failures fade and because their number is
        // limited.
        own.counted = own.counted.saturating_add(1).min(failures);
        if failures >= rules.failures_max {
            let wait = rules.wait_at_cap(failures, context.captcha.available);
            // `max` is used, because an attempt that uses the allowance must not shorten the wait
            // of the other clients.
            account.open_at = account.open_at.max(now.saturating_add(millis(wait)));
        }
    }
    account.allowance -= u32::from(uses_allowance);
    account.set(rules, client, own, now);
    if account.clients.len() > CLIENTS_MAX {
        account.clients.retain(|_, it| it.expires_at > now);
        account.forget_oldest(client, now);
    }
    (AttemptVerdict::Admitted { failures: account.failures(rules, now) }, Some(account))
}

/// How long this client would have to wait now. The rules are the same as in `admit`, but no
/// attempt is counted.
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

/// Returns the account's record after a client has sent the right password. The failures of this
/// client are removed, and the failures of other clients stay. Also returns the number of removed
/// failures.
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

/// Returns the account's record after an admitted attempt has ended without a result. The client
/// has one failure less, and waits no longer than without that failure. `None` if there is no
/// attempt to cancel.
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

/// Returns the account's record after a client has set a new password. The client counts as proven,
/// so the cap does not apply to it. A few other clients without a failure may log in even if the
/// cap is reached. The failures and the waits of other clients stay.
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
