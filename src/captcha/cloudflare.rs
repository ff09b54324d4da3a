//! The driver for Cloudflare Turnstile:
//! <https://developers.cloudflare.com/turnstile/get-started/server-side-validation/>.

use std::time::Duration;

use super::driver::{Driver, Score, Sources, Widget};
use crate::telemetry::labels::CaptchaProvider;

const SOURCE: &str = "https://challenges.cloudflare.com";

/// A token has at most 2 048 characters. It is valid for 300 s after the captcha was solved, and it
/// can be used once. The response of siteverify contains the `action` that the widget was created
/// with.
pub const TURNSTILE: Driver = Driver {
    provider: CaptchaProvider::CloudflareTurnstile,
    verify_url: "https://challenges.cloudflare.com/turnstile/v0/siteverify",
    token_bytes_max: 2_048,
    age_max: Duration::from_mins(5),
    has_action: true,
    score: Score::Ignored,
    takes_site_key: false,
    operators_codes: &["missing-input-secret", "invalid-input-secret"],
    vendors_codes: &["internal-error"],
    widget: Widget {
        script: "https://challenges.cloudflare.com/turnstile/v0/api.js",
        class: "cf-turnstile",
        field: "cf-turnstile-response",
        global: "turnstile",
        is_executed: false,
        sources: Sources { script: SOURCE, frame: SOURCE, style: "", connect: "" },
    },
};
