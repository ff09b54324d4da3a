//! The driver for hCaptcha: <https://docs.hcaptcha.com/#verify-the-user-response-server-side>.

use std::time::Duration;

use super::driver::{Driver, Score, Sources, Widget};
use crate::telemetry::labels::CaptchaProvider;

const SOURCES: &str = "https://hcaptcha.com https://*.hcaptcha.com";

/// A token is valid for 120 s and can be used once. hCaptcha does not document the length of a
/// token. Real tokens have 2 to 4 KB. The score is not read, because only hCaptcha Enterprise sends
/// one, and its score 1 means a bot. hCaptcha has no actions.
///
/// `operators_codes` does not contain `sitekey-secret-mismatch`, because a client can cause this
/// error with a token of another site.
pub const HCAPTCHA: Driver = Driver {
    provider: CaptchaProvider::Hcaptcha,
    verify_url: "https://api.hcaptcha.com/siteverify",
    token_bytes_max: 8 * 1024,
    // The 120 s, plus the time that a user needs to solve the challenge. This time is added because
    // `challenge_ts` is the time of the challenge and not of its solution.
    age_max: Duration::from_mins(5),
    has_action: false,
    score: Score::Ignored,
    takes_site_key: true,
    operators_codes: &[
        "missing-input-secret",
        "invalid-input-secret",
        "invalid-sitekey",
        "missing-remoteip",
        "invalid-remoteip",
        "not-using-dummy-passcode",
        "not-using-dummy-secret",
    ],
    vendors_codes: &["internal-error"],
    widget: Widget {
        script: "https://js.hcaptcha.com/1/api.js",
        class: "h-captcha",
        field: "h-captcha-response",
        global: "hcaptcha",
        is_executed: false,
        sources: Sources { script: SOURCES, frame: SOURCES, style: SOURCES, connect: SOURCES },
    },
};
