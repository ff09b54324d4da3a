//! Google reCAPTCHA, v2 (a checkbox) and v3 (a score): <https://developers.google.com/recaptcha/docs/verify>.
//!
//! The keys of a site are of one version, and nothing in siteverify's request tells which. `captcha.min_score` says so;
//! an answer of the other version means that the settings are wrong, and a v3 answer must never pass as one of v2:
//! `success` is true there for machines too.

use std::time::Duration;

use super::driver::{Driver, Score, Sources, Widget};
use crate::telemetry::labels::CaptchaProvider;

const VERIFY_URL: &str = "https://www.google.com/recaptcha/api/siteverify";
/// Not documented; 0.5 to 2.5 KB are met.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Tokens live for 120 s, and `challenge_ts` is when the challenge was loaded: a person takes some time to solve it.
const AGE_MAX: Duration = Duration::from_mins(5);
const OPERATORS_CODES: &[&str] = &["missing-input-secret", "invalid-input-secret"];
const SOURCES: Sources = Sources {
    script: "https://www.google.com/recaptcha/ https://www.gstatic.com/recaptcha/",
    frame: "https://www.google.com/recaptcha/ https://recaptcha.google.com/recaptcha/",
    style: "",
    connect: "",
};

/// The checkbox: no action, no score.
pub const RECAPTCHA_V2: Driver = Driver {
    provider: CaptchaProvider::RecaptchaV2,
    verify_url: VERIFY_URL,
    token_bytes_max: TOKEN_BYTES_MAX,
    age_max: AGE_MAX,
    has_action: false,
    score: Score::Foreign,
    takes_site_key: false,
    operators_codes: OPERATORS_CODES,
    vendors_codes: &["internal-error"],
    widget: Widget {
        script: "https://www.google.com/recaptcha/api.js",
        class: "g-recaptcha",
        field: "g-recaptcha-response",
        global: "grecaptcha",
        is_executed: false,
        sources: SOURCES,
    },
};

/// The score: an action, which has to be verified, and nothing to see.
pub const RECAPTCHA_V3: Driver = Driver {
    provider: CaptchaProvider::RecaptchaV3,
    verify_url: VERIFY_URL,
    token_bytes_max: TOKEN_BYTES_MAX,
    age_max: AGE_MAX,
    has_action: true,
    score: Score::Needed,
    takes_site_key: false,
    operators_codes: OPERATORS_CODES,
    vendors_codes: &["internal-error"],
    widget: Widget {
        script: "https://www.google.com/recaptcha/api.js?render=",
        class: "",
        field: "captcha",
        global: "grecaptcha",
        is_executed: true,
        sources: SOURCES,
    },
};
