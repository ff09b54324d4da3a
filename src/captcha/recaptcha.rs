//! Google reCAPTCHA, v2 (a checkbox) and v3 (a score):
//! <https://developers.google.com/recaptcha/docs/verify>.
//!
//! The keys of a site belong to one version, and the siteverify request does not contain the
//! version. The setting `captcha.min_score` selects v3. A response of the other version means that
//! the settings are wrong. A v3 response must never be accepted as v2, because v3 also returns
//! `success: true` for bots.

use std::time::Duration;

use super::driver::{Driver, Score, Sources, Widget};
use crate::telemetry::labels::CaptchaProvider;

const VERIFY_URL: &str = "https://www.google.com/recaptcha/api/siteverify";
/// The length is not documented; real tokens have 0.5 to 2.5 KB.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// A token is valid for 120 s. `challenge_ts` is the time at which the challenge was loaded, and a
/// user needs time to solve it.
const AGE_MAX: Duration = Duration::from_mins(5);
const OPERATORS_CODES: &[&str] = &["missing-input-secret", "invalid-input-secret"];
const SOURCES: Sources = Sources {
    script: "https://www.google.com/recaptcha/ https://www.gstatic.com/recaptcha/",
    frame: "https://www.google.com/recaptcha/ https://recaptcha.google.com/recaptcha/",
    style: "",
    connect: "",
};

/// reCAPTCHA v2, a checkbox. It has no action and no score.
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

/// reCAPTCHA v3. It is invisible, and returns a score and an action that must be checked.
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
