//! Failures of an account's password: how many there were, from which source, and whether one more try may be made.
//!
//! The decision is here, pure. The embedded store runs it in a transaction, Redis has the same in
//! `admit.lua`, `reset_attempts.lua`, `reset_all_attempts.lua` and `cancel_attempt.lua`. The numbers are the caller's: [`BackOff`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{UnixMillis, millis};

/// How a source is slowed, and when an account is closed to all of them.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// How long a source waits after its n-th failure, by n; the last one is for all beyond. At least one.
    pub waits: &'static [Duration],
    /// From how many failures to how many, both included, a captcha takes the place of the wait, where one is asked for.
    pub captcha: (u32, u32),
    /// After so many failures over all sources none may try any more.
    pub failures_max: u32,
    /// How long a source is remembered after its last try; longer than every wait.
    pub source_kept: Duration,
    /// How long an account's count is remembered after the last try, for each failure; at least `source_kept`.
    pub kept_a_failure: Duration,
    /// How long an account that is closed stays so.
    pub kept_closed: Duration,
}

/// Who wants to try which account. Both are names of keys: digests, never an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess<'a> {
    /// The account, or the address without one.
    pub account: &'a str,
    /// Where the guess comes from.
    pub source: &'a str,
    /// What is known of a captcha.
    pub captcha: Captcha,
}

/// Whether a captcha can take the place of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captcha {
    /// None is asked for: there is the wait.
    NotAsked,
    /// One is asked for and not there.
    Missing,
    /// One was solved.
    Solved,
}

impl Captcha {
    /// As the script calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NotAsked => "not-asked",
            Self::Missing => "missing",
            Self::Solved => "solved",
        }
    }
}

/// Whether one more try may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may, and counts as a failure until it is forgiven.
    Admitted,
    /// It may not, and nothing was counted.
    Wait {
        /// After so long the same call is admitted, if nobody else's is before.
        retry_after: Duration,
    },
    /// Not without a captcha, and nothing was counted.
    CaptchaNeeded,
}

/// An account at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// Tries that were not forgiven, over all sources.
    pub(super) failures: u32,
    /// Counts pardons: sources of another era are forgotten.
    pub(super) era: u64,
    /// Forgotten from then on; not before any of its sources is.
    pub(super) kept_until: UnixMillis,
}

/// A source of one account at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    /// Tries that were not forgiven.
    pub(super) failures: u32,
    /// The era of the account in which they were.
    pub(super) era: u64,
    /// May try again from then on.
    pub(super) wait_until: UnixMillis,
    /// Forgotten from then on.
    pub(super) kept_until: UnixMillis,
}

/// Judges a try; with what to write, where it is admitted.
pub(super) fn admit(
    ladder: &BackOff,
    captcha: Captcha,
    account: Option<Account>,
    source: Option<Source>,
    now: UnixMillis,
) -> (Admission, Option<(Account, Source)>) {
    let account = account.filter(|it| it.kept_until > now).unwrap_or_default();
    let source = source.filter(|it| it.kept_until > now && it.era == account.era);
    let source = source.unwrap_or_default();
    if account.failures >= ladder.failures_max {
        return (wait(account.kept_until, now), None);
    }
    let (first, last) = ladder.captcha;
    let waits = if (first..=last).contains(&source.failures) {
        match captcha {
            Captcha::Missing => return (Admission::CaptchaNeeded, None),
            Captcha::Solved => false,
            Captcha::NotAsked => true,
        }
    } else {
        true
    };
    if waits && source.wait_until > now {
        return (wait(source.wait_until, now), None);
    }
    let total = account.failures + 1;
    let kept = if total >= ladder.failures_max {
        millis(ladder.kept_closed)
    } else {
        millis(ladder.kept_a_failure).saturating_mul(i64::from(total))
    };
    let failures = source.failures.saturating_add(1);
    let step = usize::try_from(failures).unwrap_or(usize::MAX).min(ladder.waits.len() - 1);
    let account = Account {
        failures: total,
        era: account.era,
        kept_until: now.saturating_add(kept).max(account.kept_until),
    };
    let source = Source {
        failures,
        era: account.era,
        wait_until: now.saturating_add(millis(ladder.waits[step])),
        kept_until: now.saturating_add(millis(ladder.source_kept)),
    };
    (Admission::Admitted, Some((account, source)))
}

fn wait(until: UnixMillis, now: UnixMillis) -> Admission {
    let ms = until.saturating_sub(now).unsigned_abs();
    Admission::Wait { retry_after: Duration::from_millis(ms) }
}

/// What a success leaves of the account: no failure, unless it is closed without the success's own try.
pub(super) fn reset_attempts(
    ladder: &BackOff,
    account: Option<Account>,
    own: u32,
    now: UnixMillis,
) -> Option<Account> {
    let account = account.filter(|it| it.kept_until > now && it.failures > 0)?;
    if account.failures - own.min(account.failures) >= ladder.failures_max {
        return None;
    }
    let kept_until = now.saturating_add(millis(ladder.source_kept));
    Some(Account { failures: 0, kept_until, ..account })
}

/// What a try leaves that was admitted and never judged: one failure less of its source and of the account, and no longer a
/// wait than one failure less brings from now on. None where there is nothing to take back: it was forgiven or pardoned
/// meanwhile, or forgotten. An account that the try had closed is open again.
pub(super) fn cancel_attempt(
    ladder: &BackOff,
    account: Option<Account>,
    source: Option<Source>,
    now: UnixMillis,
) -> Option<(Account, Source)> {
    let account = account.filter(|it| it.kept_until > now)?;
    let of_now = |it: &Source| it.kept_until > now && it.era == account.era && it.failures > 0;
    let source = source.filter(of_now)?;
    let failures = source.failures - 1;
    let step = usize::try_from(failures).unwrap_or(usize::MAX).min(ladder.waits.len() - 1);
    let wait_until = source.wait_until.min(now.saturating_add(millis(ladder.waits[step])));
    let account = Account { failures: account.failures.saturating_sub(1), ..account };
    Some((account, Source { failures, wait_until, ..source }))
}

/// What another password leaves of the account: a new era.
pub(super) fn reset_all_attempts(
    ladder: &BackOff,
    account: Option<Account>,
    now: UnixMillis,
) -> Option<Account> {
    let account = account.filter(|it| it.kept_until > now)?;
    let kept_until = now.saturating_add(millis(ladder.source_kept));
    Some(Account { failures: 0, era: account.era + 1, kept_until })
}

#[cfg(test)]
#[path = "back_off_tests.rs"]
mod tests;
