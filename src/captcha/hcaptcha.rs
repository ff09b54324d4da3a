//! hCaptcha: <https://docs.hcaptcha.com/#verify-the-user-response-server-side>.

use std::time::Duration;

use super::driver::{Driver, Score, Sources, Widget};
use crate::telemetry::labels::CaptchaProvider;

const SOURCES: &str = "https://hcaptcha.com https://*.hcaptcha.com";

/// A token is valid for 120 s and can be used once. The length of a token is not documented; real
/// tokens have 2 to 4 KB. The score is not read (only Enterprise has it, and 1 means a bot). There
/// are no actions.
///
/// `sitekey-secret-mismatch` is not among `operators_codes`, because a client can cause it with a
/// token of another site.
pub const HCAPTCHA: Driver = Driver {
    provider: CaptchaProvider::Hcaptcha,
    verify_url: "https://api.hcaptcha.com/siteverify",
    token_bytes_max: 8 * 1024,
    // 120 s, plus the time that a user needs to solve the challenge. `challenge_ts` is the time of
    // the challenge, not of its solution.
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
