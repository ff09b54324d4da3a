//! Verifies the response of a vendor's siteverify endpoint. The functions are pure: the same bytes,
//! expectations and time give the same result.
//!
//! Every member must have its documented JSON type, or the response is malformed: `"true"`, `1` and
//! null are not `true`. A response with a duplicate of a member that we read is malformed too. When
//! the response is malformed, the token is not accepted.

use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::{Iso8601, Rfc3339};

use super::driver::{Driver, Score};
use crate::clock::{UnixMillis, millis};

/// How far the vendor's clock may be ahead of ours.
const SKEW_MAX: Duration = Duration::from_mins(1);

/// What a response must contain to be accepted.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The vendor that sent the response.
    pub driver: &'static Driver,
    /// `captcha.hostnames`, in lower case.
    pub hostnames: &'a [String],
    /// The action that the widget was created with.
    pub action: &'a str,
    /// `captcha.min_score`.
    pub score_min: f64,
}

/// The result of the verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The token is valid. From `until` on, the vendor and latchkey refuse it for its age.
    Good {
        /// The store must remember the token until this time.
        until: UnixMillis,
    },
    /// The token is not valid.
    Refused(Refusal),
    /// The settings are wrong, according to the vendor or to its response.
    Misconfigured(&'static str),
    /// The vendor responded that it has a problem.
    Trouble,
    /// The response is not a siteverify response.
    Malformed,
}

/// Why a token is refused. The client receives `captcha-invalid` in all cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The vendor refused it.
    Vendor,
    /// It was solved on another site, or the response names no site.
    Hostname,
    /// It was solved for another form.
    Action,
    /// Its score is below the minimum.
    Score,
    /// It is too old, in the future, or has no time.
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
        // reCAPTCHA does this above its free quota: it reports success for every token, with an
        // error.
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

/// Whether the body is a siteverify response, whatever it says. If it is, the vendor works.
pub fn is_answer(body: &[u8]) -> bool {
    read(body).is_some()
}

/// Whether the body is a siteverify response that refuses the token.
pub fn is_no(body: &[u8]) -> bool {
    read(body).is_some_and(|answer| !answer.success)
}

/// Reads a response. `None` if a member has another type, the score is out of range, or a member
/// occurs twice.
fn read(body: &[u8]) -> Option<Answer> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    answer.score.is_none_or(|score| (0.0..=1.0).contains(&score)).then_some(answer)
}

fn is_ours(host: &str, hostnames: &[String]) -> bool {
    hostnames.iter().any(|ours| ours.eq_ignore_ascii_case(host))
}

/// Reads RFC 3339, or ISO 8601 with an offset that has no colon, as Google documents it.
fn moment(text: &str) -> Option<UnixMillis> {
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(text, &Iso8601::PARSING))
        .ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
#[path = "siteverify_tests.rs"]
mod tests;
