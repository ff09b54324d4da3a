//! The login back-off of one account: how many attempts failed, from which clients, and whether one more may be made.
//!
//! The rules are here, as pure functions. The embedded store runs them in a transaction; Redis has
//! the same rules in `admit.lua`, `reset_attempts.lua`, `cancel_attempt.lua` and
//! `prove_client.lua`. The caller gives the numbers: [`BackOff`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{UnixMillis, millis};

/// With more clients than this, an attempt removes those that have expired from the account's record.
const CLIENTS_MAX: usize = 124;

/// [`ClientAttempts::open_before`] of an attempt that does not count towards the cap: later than every time, and exact in a
/// double, which is all that Lua has.
const NOT_COUNTED: UnixMillis = (1 << 53) - 1;

/// The numbers of the back-off.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// How long a client waits after its n-th failure, by n; the last one is for all beyond. At least one.
    pub waits: &'static [Duration],
    /// From how many failures of a client to how many, both included, a captcha can replace its wait.
    pub captcha_failures: (u32, u32),
    /// The cap: after so many failures of anonymous clients together each of them needs a captcha.
    pub failures_max: u32,
    /// How long all anonymous clients wait once the cap is reached; also the longest wait beyond it.
    pub cap_wait: Duration,
    /// What each failure beyond the cap adds to the wait between two attempts of anonymous clients.
    pub cap_step: Duration,
    /// The greatest difficulty of a captcha.
    pub difficulty_max: u32,
    /// How many clients without a failure may attempt without a captcha beyond the cap, after a new
    /// password.
    pub allowance: u32,
    /// How long a client's failures are kept after its last attempt; longer than every wait.
    pub client_ttl: Duration,
    /// How long one failure counts towards the cap: of n failures one fades each time.
    pub failure_ttl: Duration,
}

/// Which client attempts which account. Both are names of keys: digests, never an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptKey<'a> {
    /// The account, or the address without one.
    pub account: &'a str,
    pub client: &'a str,
    /// Whether the client has proven something.
    pub kind: ClientKind,
}

/// Whether a client has proven that it belongs to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// It has proven nothing: its failures count towards the cap, and the cap holds for it.
    Anonymous,
    /// A known device or a live session: it has its own back-off and nothing else.
    Known,
}

/// What is known of the captcha of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptCaptcha {
    /// Whether a captcha can be asked for at all.
    pub available: bool,
    /// Whether a captcha replaces the short waits of a client.
    pub replaces_waits: bool,
    /// The difficulty of the one that was solved; 0 for none.
    pub solved: u32,
}

/// What an attempt brings along besides its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptContext {
    /// Its captcha.
    pub captcha: AttemptCaptcha,
    /// Whether an account that the store does not know yet may be added.
    pub may_add: bool,
}

/// Whether one more attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptVerdict {
    /// It may. It counts as a failure until it is reset or cancelled.
    Admitted {
        /// The failures of anonymous clients that the account has with it.
        failures: u32,
    },
    /// It may not, and nothing was counted.
    Wait {
        /// After this time the wait is over. A captcha may still be needed, and another client can be first.
        retry_after: Duration,
    },
    /// It may not without a captcha of this difficulty, and nothing was counted.
    CaptchaNeeded {
        /// At least 1.
        difficulty: u32,
    },
    /// The account is not known and may not be added; nothing was counted.
    Full,
}

/// What is stored of one account. A record of another form reads as one that has expired.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountAttempts {
    /// When the last failure of anonymous clients has faded: [`AccountAttempts::failures`] follows from it.
    pub faded_at: UnixMillis,
    /// Beyond the cap, anonymous clients may attempt from then on.
    pub open_at: UnixMillis,
    /// How many anonymous clients without a failure may still attempt beyond the cap without a captcha.
    pub allowance: u32,
    /// Forgotten from then on; not before any of its clients is.
    pub expires_at: UnixMillis,
    /// By the client's key.
    pub clients: BTreeMap<String, ClientAttempts>,
}

/// What is stored of one client of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientAttempts {
    /// Attempts that were neither reset nor cancelled.
    pub failures: u32,
    /// Those of them that count towards the cap.
    pub counted: u32,
    /// The client may attempt again from then on.
    pub wait_until: UnixMillis,
    /// Forgotten from then on.
    pub expires_at: UnixMillis,
    /// Until then the cap does not hold for it: it has proven the mailbox or the password.
    pub proven_until: UnixMillis,
    /// [`AccountAttempts::open_at`] as it was before the last attempt.
    pub open_before: UnixMillis,
    /// Whether the last attempt took one of [`AccountAttempts::allowance`].
    pub allowed: bool,
}

impl BackOff {
    fn wait_after(&self, failures: u32) -> Duration {
        let step = usize::try_from(failures).unwrap_or(usize::MAX).min(self.waits.len() - 1);
        self.waits[step]
    }

    /// The wait of all anonymous clients after a failure that makes it `failures` in all.
    fn wait_at_cap(&self, failures: u32, captcha_available: bool) -> Duration {
        let beyond = failures.saturating_sub(self.failures_max);
        if beyond == 0 || !captcha_available {
            return self.cap_wait;
        }
        self.cap_step.saturating_mul(beyond).min(self.cap_wait)
    }

    /// The captcha that an anonymous client needs beyond the cap.
    pub fn difficulty(&self, failures: u32) -> u32 {
        (failures.saturating_sub(self.failures_max) + 1).min(self.difficulty_max)
    }

    /// The most failures that are counted: beyond twice the cap nothing changes any more.
    pub(super) fn counted_max(&self) -> u32 {
        self.failures_max * 2
    }
}

impl AccountAttempts {
    /// The failures of anonymous clients that have not faded.
    pub fn failures(&self, rules: &BackOff, now: UnixMillis) -> u32 {
        let ttl = millis(rules.failure_ttl).max(1);
        let left = self.faded_at.saturating_sub(now).max(0);
        let count = left / ttl + i64::from(left % ttl > 0);
        u32::try_from(count).unwrap_or(u32::MAX).min(rules.counted_max())
    }

    /// A client's record, without what has expired.
    pub fn client(&self, client: &str, now: UnixMillis) -> ClientAttempts {
        self.clients.get(client).copied().filter(|it| it.expires_at > now).unwrap_or_default()
    }

    /// Whether nothing is left to store.
    pub(super) fn is_empty(&self) -> bool {
        self.faded_at == 0 && self.clients.is_empty()
    }

    /// Sets a client's record, and keeps the account's for at least as long.
    fn set(&mut self, rules: &BackOff, client: &str, own: ClientAttempts, now: UnixMillis) {
        self.clients.insert(client.to_owned(), own);
        let ttl = now.saturating_add(millis(rules.client_ttl));
        self.expires_at = self.expires_at.max(self.faded_at).max(ttl);
    }

    /// Undoes what the last attempt of a client did beyond the cap.
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

/// Decides about an attempt; returns the record to write where it is admitted.
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
        // No more than are left of all: failures fade, and beyond the most that are counted none is added.
        own.counted = own.counted.saturating_add(1).min(failures);
        if failures >= rules.failures_max {
            let wait = rules.wait_at_cap(failures, context.captcha.available);
            // An attempt of the allowance does not shorten the wait of the others.
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

/// How long this client would wait now, by the same rules. Counts nothing.
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

/// What the record becomes after a right password of this client: its failures are gone, and the other
/// clients' stay. Also returns how many that were.
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

/// What the record becomes where an admitted attempt ended without a verdict: one failure less, and no longer a wait than
/// that failure's absence brings. None where there is nothing to cancel.
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

/// What the record becomes after a new password: the client that set it has proven itself, and a few clients without a
/// failure may log in for the first time. The failures of other clients stay, so that their waits do.
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
