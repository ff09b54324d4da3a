//! The numbers of the login back-off.
//!
//! The rules are the store's ([`crate::store::back_off`]): an attempt is admitted and counted before the password is
//! verified, so that parallel attempts cannot pass. `docs/limits.md` says what follows from these numbers.

use std::time::Duration;

use crate::captcha::DIFFICULTY_MAX;
use crate::store::BackOff;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Consecutive failures of anonymous clients after which each of them needs a captcha: NIST's cap (SP 800-63B-4 §3.2.2).
pub const FAILURES_MAX: u32 = 100;

/// How long a client waits after its `failures`-th consecutive wrong password for one account: 1 to 5 are free, 6 to 9
/// cost 5 s, the 10th 30 s, doubling to an hour.
pub const fn failure_wait(failures: u32) -> Duration {
    match failures {
        0..=5 => Duration::ZERO,
        6..=9 => Duration::from_secs(5),
        // 30 s doubled 7 times is over an hour.
        10..=16 => Duration::from_secs(30 << (failures - 10)),
        _ => HOUR,
    }
}

/// The failures with a wait of their own: none to 16, and one for all beyond.
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
/// - A client is remembered for a day. To wait for that gains an attacker six free attempts a day, fewer than the one an hour
///   at the longest wait.
/// - One failure a day fades. An attacker that stays below the cap gains one attempt a day.
/// - The cap closes an account to anonymous clients for an hour. So no hour has more than a hundred of their attempts:
///   the hundredth ends one hour, and beyond it each failure adds 36 s to the wait for the next.
/// - Beyond the cap a captcha is as many times as hard as a usual one as there are failures beyond it, at most 60
///   times: about a minute of a phone's work.
/// - After a new password five clients that never failed can log in without that captcha: the user's other devices.
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
