//! The numbers of the login back-off.
//!
//! The rules are in the token store ([`crate::store::back_off`]). An attempt is admitted and
//! counted before the password is verified, so that parallel attempts cannot bypass the limit.
//! `docs/limits.md` describes the effect of these numbers.

use std::time::Duration;

use crate::captcha::DIFFICULTY_MAX;
use crate::store::BackOff;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The cap: after this many consecutive failures of anonymous clients each of them needs a captcha.
/// NIST SP 800-63B-4 §3.2.2 sets this maximum.
pub const FAILURES_MAX: u32 = 100;

/// How long a client waits after its `failures`-th consecutive wrong password for one account.
/// Failures 1 to 5 cause no wait, failures 6 to 9 cause 5 s, and the 10th causes 30 s. From there
/// the wait doubles up to an hour.
pub const fn failure_wait(failures: u32) -> Duration {
    match failures {
        0..=5 => Duration::ZERO,
        6..=9 => Duration::from_secs(5),
        // 30 s doubled 7 times is more than an hour.
        10..=16 => Duration::from_secs(30 << (failures - 10)),
        _ => HOUR,
    }
}

/// The number of entries in the list of waits: one for each of 0 to 16 failures, and one for all
/// higher numbers.
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

/// The back-off of every account.
///
/// - The record of a client is stored for a day. An attacker that waits for its end gains six
///   attempts a day without a wait. That is fewer than the one attempt an hour at the longest wait.
/// - One failure fades each day. So an attacker that stays below the cap gains one attempt a day.
/// - The cap closes an account to anonymous clients for an hour. So they never have more than 100
///   attempts within an hour. After the 100th failure all of them wait an hour. After that, with
///   captchas configured, they wait 36 s for each failure beyond the cap.
/// - At the cap an anonymous client needs a captcha. Each failure beyond the cap makes it as much
///   harder as one usual captcha, up to 60 times. At 60 times a phone computes for about a minute.
/// - After a password change five clients without a failure can log in without that captcha. They
///   are meant for the user's other devices.
pub static BACK_OFF: BackOff = BackOff {
    waits: &WAITS,
    captcha_failures: (6, 9),
    failures_max: FAILURES_MAX,
    cap_wait: HOUR,
    cap_step: Duration::from_secs(36),
    difficulty_max: DIFFICULTY_MAX,
    allowance: 5,
    client_ttl: DAY,
    failure_ttl: DAY,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_cost_nothing_then_five_seconds_then_double_to_an_hour() {
        let waits: Vec<u64> = (0..=19).map(|failures| failure_wait(failures).as_secs()).collect();
        let expected =
            [0, 0, 0, 0, 0, 0, 5, 5, 5, 5, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600];
        assert_eq!(waits, expected);
        assert_eq!(failure_wait(u32::MAX), HOUR);
        let listed: Vec<u64> = BACK_OFF.waits.iter().map(Duration::as_secs).collect();
        assert_eq!(listed, expected[..STEPS]);
    }

    #[test]
    fn nothing_is_forgotten_before_its_wait_is_over_and_no_wait_is_longer_than_an_hour() {
        assert!(BACK_OFF.waits.iter().all(|wait| *wait < BACK_OFF.client_ttl && *wait <= HOUR));
        assert!(BACK_OFF.cap_wait <= HOUR && BACK_OFF.failure_ttl >= BACK_OFF.client_ttl);
    }
}
