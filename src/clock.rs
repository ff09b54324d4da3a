//! [`Clock`]: the wall clock. Functions get it as an argument.
//!
//! Every function that checks an expiry has a [`Clock`] as an argument. Tests pass
//! [`Clock::manual`] and advance this clock. Deadlines and timers use Tokio's monotonic time
//! instead. Only this file may read the system clock (`clippy.toml` enforces this).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch. The database, the token store and the code use this form for
/// every point in time.
pub type UnixMillis = i64;

/// The greatest difference between the clocks of two replicas with which latchkey works correctly.
pub const CLOCKS_APART_MAX: Duration = Duration::from_mins(2);

/// Limits an action to once a minute. An example is a warning in the log that many requests would
/// repeat.
#[derive(Debug)]
pub struct OnceAMinute(AtomicI64);

impl OnceAMinute {
    /// Creates a limit with which the action is due at once.
    pub const fn new() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }

    /// Whether a minute has passed since the action was last due. If several threads call this
    /// function at the same time, only one of them gets `true`.
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

/// The source of the current time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system clock.
    System,
    /// A clock for tests. It stands still until [`Clock::advance`] is called.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that shows the time `now` until [`Clock::advance`] is called. All clones of this
    /// clock show the same time.
    pub fn manual(now: UnixMillis) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now)))
    }

    /// The current time in milliseconds since the Unix epoch.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> UnixMillis {
        match self {
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Self::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// The time of the system clock. Only spans use this function for their start and end, because
    /// a test's manual clock would stand still during a span.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn system_time() -> SystemTime {
        SystemTime::now()
    }

    /// The current time in whole seconds since the Unix epoch. This is the format NumericDate of a
    /// JWT (RFC 7519 §2).
    pub fn now_seconds(&self) -> i64 {
        self.now().div_euclid(1000)
    }

    /// Moves a manual clock forward. Does nothing if this is the system clock.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(now) = self {
            now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }
}

/// A duration in milliseconds. If the number is too large for an `i64`, the result is `i64::MAX`.
/// No lifetime in latchkey is that long.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A point in time as text in the format of RFC 3339, in UTC with milliseconds. Every response and
/// log line uses this format.
pub fn rfc3339(at: UnixMillis) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    );
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&format).ok())
        .unwrap_or_default()
}

/// Reads a point in time in the format of RFC 3339, with any offset. Digits after the milliseconds
/// are ignored. Returns none if the text has another format.
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
