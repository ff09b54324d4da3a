//! The wall clock, as an argument.
//!
//! Everything that judges an expiry takes a [`Clock`]; tests hand in [`Clock::manual`] and advance it. Deadlines and
//! timers are not here: they use tokio's monotonic time. This is the only file that may read the system's clock
//! (`clippy.toml` holds that wall).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch: how every point in time is kept, in SQL, in the token store and in memory.
pub type UnixMillis = i64;

/// Lets one caller a minute do something: a warning that requests would repeat.
#[derive(Debug)]
pub struct OnceAMinute(AtomicI64);

impl OnceAMinute {
    /// Due at once.
    pub const fn new() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }

    /// Whether a minute has passed since it last was due. Of parallel callers one is told so.
    pub fn is_due(&self, now: UnixMillis) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        let set = Ordering::Relaxed;
        now.saturating_sub(last) >= 60_000 && self.0.compare_exchange(last, now, set, set).is_ok()
    }
}

impl Default for OnceAMinute {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the present comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that stands still until it is advanced. For tests.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `now` until [`Clock::advance`] is called; clones share the time.
    pub fn manual(now: UnixMillis) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now)))
    }

    /// The present in milliseconds since the Unix epoch.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> UnixMillis {
        match self {
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Self::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// The system's present as it is, for the times of spans alone: a test's clock stands still in the middle of them.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn system_time() -> SystemTime {
        SystemTime::now()
    }

    /// The present in whole seconds since the Unix epoch, as JWT's NumericDate has it (RFC 7519 §2).
    pub fn now_seconds(&self) -> i64 {
        self.now().div_euclid(1000)
    }

    /// Moves a manual clock forward. The system's clock is not ours to move: nothing happens.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(now) = self {
            now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }
}

/// A duration in milliseconds, saturating far beyond any lifetime we know.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A point in time as RFC 3339 in UTC with milliseconds: how every answer and log line shows it.
pub fn rfc3339(at: UnixMillis) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    );
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&format).ok())
        .unwrap_or_default()
}

/// A point in time out of RFC 3339, whatever its offset, cut to milliseconds; none for what is no such time.
pub fn from_rfc3339(text: &str) -> Option<UnixMillis> {
    let format = &time::format_description::well_known::Rfc3339;
    let at = time::OffsetDateTime::parse(text, format).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_a_minute_is_due_whatever_the_clock_does() {
        let warning = OnceAMinute::new();
        let due =
            [0, 0, 59_999, 60_000, 60_001, 1, 119_999, 120_000].map(|now| warning.is_due(now));
        assert_eq!(due, [true, false, false, true, false, false, false, true]);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(1_000);
        let clone = clock.clone();
        clock.advance(Duration::from_secs(2));
        assert_eq!(clone.now(), 3_000);
        assert_eq!(clone.now_seconds(), 3);
    }

    #[test]
    fn times_are_shown_as_rfc_3339_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_795_467_791_042), "2026-11-23T21:03:11.042Z");
    }

    #[test]
    fn times_are_read_as_rfc_3339_with_any_offset() {
        assert_eq!(from_rfc3339("2026-11-23T21:03:11.042Z"), Some(1_795_467_791_042));
        assert_eq!(from_rfc3339("2026-11-23T22:03:11.0425+01:00"), Some(1_795_467_791_042));
        for no_time in ["", "2026-11-23", "2026-11-23 21:03", "2026-13-01T00:00:00Z", "1795467791"]
        {
            assert_eq!(from_rfc3339(no_time), None, "{no_time}");
        }
    }
}
