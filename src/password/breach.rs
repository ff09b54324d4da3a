//! [`Breach`]: a client of a service that knows which passwords are in breaches. The service does
//! not learn the password (k-anonymity).
//!
//! The service receives the first five hexadecimal digits of the password's SHA-1. It responds with
//! the remaining digits of every breached password whose SHA-1 begins with these five digits (NIST
//! SP 800-63B-4 §3.1.1.2, ASVS 6.2.12). The request has the header `Add-Padding`. It makes the
//! service add invented entries with the count 0, so that the length of the response reveals
//! nothing to an eavesdropper.
//!
//! A new password causes at most one request, and a login causes none. If the service fails, the
//! password is accepted, because an outage must not keep users from their accounts. The password is
//! always compared with the embedded list of common passwords, even if the service fails.
//!
//! The SHA-1 is computed from the password in NFC, with upper and lower case unchanged. Neither the
//! password nor its digest is logged or stored.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::normalized;
use crate::clock::Clock;
use crate::config;
use crate::egress::{Breaker, Egress, Endpoint, Limits};
use crate::secret::{Secret, equal};
use crate::telemetry::Metrics;
use crate::telemetry::labels::BreachOutcome;

/// The limits of a request to the service. A user waits for the result, so the time limit is one
/// second in all. A response has about 1 000 to 2 000 lines of 40 bytes, including the padding. The
/// limit of 256 KiB is three times as much.
pub const LIMITS: Limits = Limits {
    connect: Duration::from_millis(500),
    total: Duration::from_secs(1),
    body_bytes_max: 256 * 1024,
};
/// The maximum number of requests at once. If this many requests are running, a further password is
/// not checked, because waiting would delay its user.
const AT_ONCE_MAX: usize = 16;
/// The number of digits that the service receives, out of the 40 digits of the SHA-1.
const PREFIX_DIGITS: usize = 5;
/// The number of digits that the service does not receive.
const SUFFIX_DIGITS: usize = 35;
/// The maximum number of digits that a count may have.
const COUNT_DIGITS_MAX: usize = 12;

/// A client of the service that knows breached passwords.
pub struct Breach {
    egress: Egress,
    endpoint: Endpoint,
    breaker: Breaker,
    slots: Semaphore,
    metrics: Arc<Metrics>,
}

/// What the service reports about a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The password is known from a breach.
    Breached,
    /// The service does not know the password, or the service could not be asked.
    Unknown,
}

/// The reason why a password is refused: it is known from a breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breached;

impl Breached {
    /// The violation's stable name for programs, in `errors[].code` of a 422 response.
    pub const CODE: &'static str = "breached";
}

impl fmt::Display for Breached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("The password is known from a data breach elsewhere. Attackers try such passwords first.")
    }
}

impl Breach {
    /// Creates a client for the service at `password.breach_url`. Returns None if that setting is
    /// not set.
    ///
    /// # Errors
    /// The same as for [`Breach::new`].
    pub fn of(
        password: &config::Password,
        clock: &Clock,
        metrics: &Arc<Metrics>,
    ) -> Result<Option<Self>, Box<dyn std::error::Error + Send + Sync>> {
        let url = password.breach_url.as_ref();
        url.map(|url| Self::new(url, LIMITS, clock.clone(), metrics.clone())).transpose()
    }

    /// Creates a client for the range service at `url`. Each request appends the five digits to the
    /// URL as one path segment.
    ///
    /// # Errors
    /// An error if the URL is not allowed ([`Endpoint::parse`]), or if TLS cannot be set up.
    pub fn new(
        url: &str,
        limits: Limits,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self {
            egress: Egress::new(limits, metrics.clone())?,
            endpoint: Endpoint::parse(url)?,
            breaker: Breaker::new(clock),
            slots: Semaphore::new(AT_ONCE_MAX),
            metrics,
        })
    }

    /// Whether the service failed three times in a row and has not responded successfully since
    /// then.
    pub fn is_in_doubt(&self) -> bool {
        self.breaker.is_open()
    }

    /// Checks a new password with the service. The caller has already checked the other rules. The
    /// check is counted in `latchkey.password.breach_checks`.
    pub async fn check(&self, password: &Secret<String>) -> Finding {
        let (outcome, finding) = self.ask(password).await;
        self.metrics.breach_checks.one(outcome);
        finding
    }

    async fn ask(&self, password: &Secret<String>) -> (BreachOutcome, Finding) {
        // Neither the semaphore nor the breaker waits, because requests must not queue up here
        // during an outage or under heavy load.
        let (Ok(_slot), Some(pass)) = (self.slots.try_acquire(), self.breaker.pass()) else {
            return (BreachOutcome::Skipped, Finding::Unknown);
        };
        let digits = sha1_digits(password);
        let (prefix, suffix) = digits.split_at(PREFIX_DIGITS);
        let Some(range) = self.endpoint.join(prefix) else {
            return (BreachOutcome::Skipped, Finding::Unknown);
        };
        let found = match self.egress.get(&range, ("add-padding", "true")).await {
            Ok(reply) if reply.status == 200 => {
                search(&reply.body, suffix).ok_or(BreachOutcome::Malformed)
            }
            Ok(_) | Err(_) => Err(BreachOutcome::Unavailable),
        };
        match found {
            Ok(finding) => {
                pass.answered();
                (
                    if finding == Finding::Breached {
                        BreachOutcome::Hit
                    } else {
                        BreachOutcome::Miss
                    },
                    finding,
                )
            }
            Err(outcome) => {
                pass.failed();
                (outcome, Finding::Unknown)
            }
        }
    }
}

impl fmt::Debug for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breach").field("host", &self.endpoint.host()).finish_non_exhaustive()
    }
}

/// The SHA-1 of the password as 40 upper-case hexadecimal digits. The service requires SHA-1. The
/// security of the password does not depend on SHA-1.
fn sha1_digits(password: &Secret<String>) -> Zeroizing<String> {
    use fmt::Write as _;
    let text = normalized(password);
    let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let mut digits = Zeroizing::new(String::with_capacity(PREFIX_DIGITS + SUFFIX_DIGITS));
    for byte in sha1.as_ref() {
        let _ = write!(digits, "{byte:02X}");
    }
    digits
}

/// Searches the `SUFFIX:COUNT` lines of a response for `suffix`. Returns None if a line has another
/// form, because such a response is an error page or comes from another service.
fn search(body: &[u8], suffix: &str) -> Option<Finding> {
    let text = std::str::from_utf8(body).ok()?;
    let mut finding = Finding::Unknown;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (ending, count) = line.split_once(':')?;
        let is_ending =
            ending.len() == SUFFIX_DIGITS && ending.bytes().all(|b| b.is_ascii_hexdigit());
        let is_count = (1..=COUNT_DIGITS_MAX).contains(&count.len())
            && count.bytes().all(|b| b.is_ascii_digit());
        if !is_ending || !is_count {
            return None;
        }
        let is_padding = count.bytes().all(|b| b == b'0');
        if !is_padding && equal(ending.to_ascii_uppercase().as_bytes(), suffix.as_bytes()) {
            finding = Finding::Breached;
        }
    }
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUFFIX: &str = "61E4C9B93F3F0682250B6CF8331B7EE68FD";
    const OTHER: &str = "0018A45C4D1DEF81644B54AB7F969B88D65";

    #[test]
    fn the_digest_is_of_the_password_in_nfc() {
        let digits = |text: &str| sha1_digits(&Secret::new(text.to_owned())).to_string();
        assert_eq!(digits("password"), format!("5BAA6{}", "1E4C9B93F3F0682250B6CF8331B7EE68FD8"));
        assert_eq!(digits("e\u{301}"), digits("\u{e9}"));
        assert_ne!(digits("Password"), digits("password"));
        assert_ne!(digits("password "), digits("password"));
    }

    #[test]
    fn an_ending_is_found_in_either_case_and_padding_is_nothing() {
        let find = |text: &str| search(text.as_bytes(), SUFFIX);
        assert_eq!(find(&format!("{OTHER}:1\r\n{SUFFIX}:52579\r\n")), Some(Finding::Breached));
        assert_eq!(find(&format!("{}:1", SUFFIX.to_lowercase())), Some(Finding::Breached));
        assert_eq!(find(&format!("{OTHER}:3")), Some(Finding::Unknown));
        assert_eq!(find(&format!("{SUFFIX}:0\r\n{OTHER}:1")), Some(Finding::Unknown));
        assert_eq!(find(&format!("{SUFFIX}:000")), Some(Finding::Unknown));
        assert_eq!(find(""), Some(Finding::Unknown));
    }

    #[test]
    fn what_is_no_range_is_no_answer() {
        for text in [
            "<html>",
            "{}",
            SUFFIX,
            &format!("{SUFFIX}:"),
            &format!("{SUFFIX}:x"),
            &format!("{SUFFIX}:-1"),
            &format!("{SUFFIX}:1234567890123"),
            &format!("{SUFFIX}0:1"),
            &format!("{}G:1", &SUFFIX[1..]),
            &format!("{SUFFIX}:1\r\n<html>"),
            &format!("{SUFFIX}:1:1"),
        ] {
            assert_eq!(search(text.as_bytes(), SUFFIX), None, "{text}");
        }
        assert_eq!(search(b"\xff", SUFFIX), None);
    }
}
