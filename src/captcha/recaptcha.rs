//! The drivers for Google reCAPTCHA v2 (a checkbox) and v3 (a score):
//! <https://developers.google.com/recaptcha/docs/verify>.
//!
//! The keys of a site belong to one of the two versions, and the request to siteverify does not
//! contain the version. If the setting `captcha.min_score` is set, latchkey expects v3, and
//! otherwise v2. If the response has the form of the other version, the settings are wrong. A v3
//! response must never be accepted as a v2 response, because v3 also returns `success: true` for
//! bots.

use std::time::Duration;

use super::driver::{Driver, Score, Sources, Widget};
use crate::telemetry::labels::CaptchaProvider;

const VERIFY_URL: &str = "https://www.google.com/recaptcha/api/siteverify";
/// The maximum length of a token. Google does not document the length. Real tokens have 0.5 to 2.5
/// KB.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// The maximum age of a token. A token is valid for 120 s after it was solved. The age is counted
/// from `challenge_ts`, which is the time at which the challenge was loaded. So the maximum also
/// includes the time that a user needs to solve the challenge.
const AGE_MAX: Duration = Duration::from_mins(5);
const OPERATORS_CODES: &[&str] = &["missing-input-secret", "invalid-input-secret"];
const SOURCES: Sources = Sources {
    script: "https://www.google.com/recaptcha/ https://www.gstatic.com/recaptcha/",
    frame: "https://www.google.com/recaptcha/ https://recaptcha.google.com/recaptcha/",
    style: "",
    connect: "",
};

/// reCAPTCHA v2 is a checkbox. Its responses contain no action and no score.
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

/// reCAPTCHA v3 is invisible. Its responses contain a score and an action, and latchkey must check
/// both.
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
