//! What a vendor's siteverify answered, judged. Pure: the same bytes, expectations and time give the same judgement.
//!
//! Every member is of its documented JSON type or the answer is none: `"true"`, `1` and null are not `true`. Duplicates
//! of what we read are no JSON object of ours either. In error a token does not pass.

use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::{Iso8601, Rfc3339};

use super::driver::{Driver, Score};
use crate::clock::{UnixMillis, millis};

/// How far ahead of ours a vendor's clock may be.
const SKEW_MAX: Duration = Duration::from_mins(1);

/// What a good answer has to say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Whose answer it is.
    pub driver: &'static Driver,
    /// `captcha.hostnames`, in lower case.
    pub hostnames: &'a [String],
    /// What the widget was made for.
    pub action: &'a str,
    /// `captcha.min_score`.
    pub score_min: f64,
}

/// What an answer is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A good token; after this point in time the vendor's and our own checks refuse it for its age.
    Good {
        /// Until when a second use has to be remembered.
        until: UnixMillis,
    },
    /// No good token.
    Refused(Refusal),
    /// The settings are wrong, as the vendor or its answer says.
    Misconfigured(&'static str),
    /// The vendor answers, and says that it cannot tell.
    Trouble,
    /// No answer of siteverify.
    Malformed,
}

/// Why a token is refused. A client is told `captcha-invalid`, whichever it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The vendor says so.
    Vendor,
    /// Solved on another site, or on none.
    Hostname,
    /// Solved for another form.
    Action,
    /// Under the least score.
    Score,
    /// Too old, or of the future, or without a time.
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

/// Judges a body that came with 200 and as JSON.
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
        // reCAPTCHA over its free quota: success for everybody, with an error beside it.
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

/// Whether the body is an answer of siteverify at all, whatever it says: somebody is there.
pub fn is_answer(body: &[u8]) -> bool {
    read(body).is_some()
}

/// Whether the body is an answer that says no.
pub fn is_no(body: &[u8]) -> bool {
    read(body).is_some_and(|answer| !answer.success)
}

/// Reads an answer; none where a member is of another type, a score out of its range, or anything is there twice.
fn read(body: &[u8]) -> Option<Answer> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    answer.score.is_none_or(|score| (0.0..=1.0).contains(&score)).then_some(answer)
}

fn is_ours(host: &str, hostnames: &[String]) -> bool {
    hostnames.iter().any(|ours| ours.eq_ignore_ascii_case(host))
}

/// RFC 3339, or ISO 8601 with an offset without its colon, as Google documents it.
fn moment(text: &str) -> Option<UnixMillis> {
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(text, &Iso8601::PARSING))
        .ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
#[path = "siteverify_tests.rs"]
mod tests;
