//! hCaptcha: <https://docs.hcaptcha.com/#verify-the-user-response-server-side>.

use std::time::Duration;

use super::driver::{Driver, Score, Sources, Widget};
use crate::telemetry::labels::CaptchaProvider;

const SOURCES: &str = "https://hcaptcha.com https://*.hcaptcha.com";

/// Tokens live for 120 s and are good once. Their length is not documented: 2 to 4 KB are met. The score (Enterprise
/// alone, 1 is a machine) is not looked at, and there are no actions.
///
/// `sitekey-secret-mismatch` is no operator's code: whoever sends a token of a site of their own causes it.
pub const HCAPTCHA: Driver = Driver {
    provider: CaptchaProvider::Hcaptcha,
    verify_url: "https://api.hcaptcha.com/siteverify",
    token_bytes_max: 8 * 1024,
    // 120 s, and the time that a person takes between the challenge, which `challenge_ts` names, and its solution.
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
