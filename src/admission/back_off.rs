//! The numbers of the ladder that slows whoever guesses a password (security: limits and back-off).
//!
//! The step itself is the store's ([`crate::store::back_off`]): it admits and counts before the password is looked at, so
//! that parallel guesses cannot pass. `docs/limits.md` says in prose what follows from these numbers.

use std::time::Duration;

use crate::store::BackOff;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Consecutive failures over all sources after which only known devices sign in by password until a reset: NIST's cap
/// (SP 800-63B-4 §3.2.2).
pub const CONSECUTIVE_FAILURES_MAX: u32 = 100;

/// How long a source waits after its `failures`-th consecutive wrong password for one account: 1 to 5 are free, 6 to 9
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

/// What strangers and known devices climb.
///
/// A source is remembered for a day: to wait for that gains a guesser six free tries a day, fewer than the one an hour
/// at the top. An account's count fades by a day for each failure, so that guessing up to the cap and waiting for it to
/// be forgotten gains one try a day, and an address that was tried once does not stay in the store. An account that is
/// closed stays so for a year, which is then what `Retry-After` says: forgotten it has to be one day, since addresses
/// without an account have one too.
pub static BACK_OFF: BackOff = BackOff {
    waits: &WAITS,
    captcha: (6, 9),
    failures_max: CONSECUTIVE_FAILURES_MAX,
    source_kept: DAY,
    kept_a_failure: DAY,
    kept_closed: Duration::from_hours(24 * 365),
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
    fn nothing_is_forgotten_before_its_wait_is_over() {
        assert!(BACK_OFF.waits.iter().all(|wait| *wait < BACK_OFF.source_kept));
        assert!(BACK_OFF.kept_a_failure >= BACK_OFF.source_kept);
        assert!(BACK_OFF.kept_closed > BACK_OFF.kept_a_failure * CONSECUTIVE_FAILURES_MAX);
    }
}
