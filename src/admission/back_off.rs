//! The numbers of the login back-off.
//!
//! The rules that use these numbers are in the token store ([`crate::store::back_off`]). An attempt
//! is admitted and counted before the password is verified, so that parallel attempts cannot bypass
//! the limit. `docs/limits.md` describes the effect of these numbers.

use std::time::Duration;

use crate::captcha::DIFFICULTY_MAX;
use crate::store::BackOff;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The cap: after this many consecutive failures of all anonymous clients together, every anonymous
/// client needs a captcha. NIST SP 800-63B-4 §3.2.2 sets this maximum.
pub const FAILURES_MAX: u32 = 100;

/// How long a client waits after its `failures`-th consecutive wrong password for one account.
/// Failures 1 to 5 cause no wait, failures 6 to 9 cause 5 s, and the 10th causes 30 s. From the
/// 10th failure on, the wait doubles with each failure, up to an hour.
pub const fn failure_wait(failures: u32) -> Duration {
    match failures {
        0..=5 => Duration::ZERO,
        6..=9 => Duration::from_secs(5),
        // This arm ends at 16 failures, because 30 s doubled 7 times is more than an hour.
        10..=16 => Duration::from_secs(30 << (failures - 10)),
        _ => HOUR,
    }
}

/// The number of entries in the list of waits. There is one entry for each number of failures from
/// 0 to 16, and one entry for all higher numbers.
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

/// The back-off settings, which are the same for all accounts.
///
/// - The token store deletes a client's record one day after the client's last attempt. An attacker
///   that waits until the record is deleted gets six attempts a day without a wait. This is fewer
///   than an attacker gets at the longest wait, which is one attempt an hour.
/// - One failure of an account expires each day. So an attacker that stays below the cap gains one
///   attempt a day.
/// - After the 100th failure all anonymous clients wait an hour. So they never have more than 100
///   attempts within an hour. After this hour, if captchas are configured, they wait 36 s for each
///   failure beyond the cap.
/// - At the cap an anonymous client needs a captcha. Each failure beyond the cap adds the work of
///   one usual captcha, up to 60 times the work of a usual captcha. A phone needs about a minute
///   for this maximum.
/// - After a password change, five clients that never failed can log in without a captcha, even at
///   the cap. This is meant for the user's other devices.
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
    failures_outlive_clients: true,
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
