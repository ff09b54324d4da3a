//! Verifies the responses of a vendor's siteverify endpoint. The functions are pure: their results
//! depend only on the response, the expected values and the time.
//!
//! Every JSON member must have its documented type. Otherwise the response is malformed. For
//! example, `"true"`, `1` and null are not accepted in place of `true`. A response is also
//! malformed if a member that latchkey reads occurs twice. If the response is malformed, the token
//! is not accepted.

use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::{Iso8601, Rfc3339};

use super::driver::{Driver, Score};
use crate::clock::{UnixMillis, millis};

/// How far the vendor's clock is allowed to be ahead of latchkey's clock.
const SKEW_MAX: Duration = Duration::from_mins(1);

/// The values that a response must contain, so that the token is accepted.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The vendor that sent the response.
    pub driver: &'static Driver,
    /// The setting `captcha.hostnames`, in lower case.
    pub hostnames: &'a [String],
    /// The action that the widget was created with.
    pub action: &'a str,
    /// The setting `captcha.min_score`.
    pub score_min: f64,
}

/// The result of verifying a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The token is valid. From the time `until` on, both the vendor and latchkey refuse the token
    /// because it is too old.
    Good {
        /// The token store must remember until this time that the token was used.
        until: UnixMillis,
    },
    /// The token is not valid.
    Refused(Refusal),
    /// The vendor reports that the settings are wrong, or its response does not fit the settings.
    Misconfigured(&'static str),
    /// The vendor reports that it has a problem.
    Trouble,
    /// The response is not a siteverify response.
    Malformed,
}

/// Why a token is refused. The client receives the error code `captcha-invalid` in all cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The vendor refused the token.
    Vendor,
    /// The token was solved on another site, or the response contains no host name.
    Hostname,
    /// The token was solved for another form.
    Action,
    /// The token's score is below the minimum.
    Score,
    /// The token is too old, its time is in the future, or the response contains no readable time.
    Time,
}

#[derive(Deserialize)]
struct Answer {
    success: bool,
    challenge_ts: Option<String>,
    hostname: Option<String>,
    action: Option<String>,
    score: Option<f64>,
    #[serde(rename = "error-codes")]
    error_codes: Option<Vec<String>>,
}

/// Verifies the JSON body of a response.
pub fn verify(body: &[u8], expected: &Expected<'_>, now: UnixMillis) -> Judgement {
    let Some(answer) = read(body) else { return Judgement::Malformed };
    let codes = answer.error_codes.as_deref().unwrap_or_default();
    let driver = expected.driver;
    if !answer.success {
        let named = |known: &'static [&'static str]| {
            known.iter().find(|code| codes.iter().any(|given| given == *code))
        };
        return if let Some(code) = named(driver.operators_codes) {
            Judgement::Misconfigured(code)
        } else if named(driver.vendors_codes).is_some() {
            Judgement::Trouble
        } else {
            Judgement::Refused(Refusal::Vendor)
        };
    }
    if !codes.is_empty() {
        // reCAPTCHA does this when its free quota is used up. It then reports success for every
        // token, together with an error code.
        return Judgement::Misconfigured("success-with-errors");
    }
    match (driver.score, answer.score) {
        (Score::Foreign, Some(_)) => return Judgement::Misconfigured("score-without-min-score"),
        (Score::Needed, None) => return Judgement::Misconfigured("min-score-without-score"),
        (Score::Needed, Some(score)) if score < expected.score_min => {
            return Judgement::Refused(Refusal::Score);
        }
        _ => {}
    }
    if !answer.hostname.is_some_and(|host| is_ours(&host, expected.hostnames)) {
        return Judgement::Refused(Refusal::Hostname);
    }
    if driver.has_action && answer.action.as_deref() != Some(expected.action) {
        return Judgement::Refused(Refusal::Action);
    }
    let Some(made_at) = answer.challenge_ts.as_deref().and_then(moment) else {
        return Judgement::Refused(Refusal::Time);
    };
    let until = made_at.saturating_add(millis(driver.age_max));
    if made_at > now.saturating_add(millis(SKEW_MAX)) || now > until {
        return Judgement::Refused(Refusal::Time);
    }
    Judgement::Good { until: until.saturating_add(1) }
}

/// Whether the body is a siteverify response, with any result. If it is, the vendor works.
pub fn is_answer(body: &[u8]) -> bool {
    read(body).is_some()
}

/// Whether the body is a siteverify response that refuses the token.
pub fn is_no(body: &[u8]) -> bool {
    read(body).is_some_and(|answer| !answer.success)
}

/// Reads a response. Returns `None` if a member has a wrong type, if a member occurs twice, or if
/// the score is not between 0 and 1.
fn read(body: &[u8]) -> Option<Answer> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    answer.score.is_none_or(|score| (0.0..=1.0).contains(&score)).then_some(answer)
}

fn is_ours(host: &str, hostnames: &[String]) -> bool {
    hostnames.iter().any(|ours| ours.eq_ignore_ascii_case(host))
}

/// Reads a time in the form of RFC 3339. It also reads ISO 8601 with an offset that has no colon,
/// because Google documents this form.
fn moment(text: &str) -> Option<UnixMillis> {
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(text, &Iso8601::PARSING))
        .ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
#[path = "siteverify_tests.rs"]
mod tests;
