//! [`Driver`]: the documented properties of a captcha vendor, as data. Each vendor has its own
//! file.

use std::time::Duration;

use crate::telemetry::labels::CaptchaProvider;

/// The differences between captcha vendors.
#[derive(Debug, PartialEq, Eq)]
pub struct Driver {
    /// The label in metrics.
    pub provider: CaptchaProvider,
    /// The siteverify URL, unless `captcha.verify_url` is set.
    pub verify_url: &'static str,
    /// The greatest length of a token. A longer token is refused without a request to the vendor.
    pub token_bytes_max: usize,
    /// The greatest age of `challenge_ts`.
    pub age_max: Duration,
    /// Whether the response contains the action of the widget. If it does, a token for one form is
    /// refused on another.
    pub has_action: bool,
    /// How latchkey uses the `score` of a response.
    pub score: Score,
    /// Whether the siteverify request contains the public site key, so that the vendor refuses
    /// tokens of other sites.
    pub takes_site_key: bool,
    /// Error codes that mean that the settings are wrong.
    pub operators_codes: &'static [&'static str],
    /// Error codes that mean that the vendor has a problem. They say nothing about the token.
    pub vendors_codes: &'static [&'static str],
    /// The widget that a page shows.
    pub widget: Widget,
}

/// How latchkey uses the `score` of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// The score is not read.
    Ignored,
    /// The score is required. It goes from 0 (a bot) to 1 (a human).
    Needed,
    /// The score must be absent. If it is present, the site keys are of another kind than the
    /// settings say.
    Foreign,
}

/// What our pages load to show the vendor's widget, and what their Content-Security-Policy must
/// allow for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Widget {
    /// The URL of the vendor's script. With [`Widget::is_executed`], the site key is appended.
    pub script: &'static str,
    /// The CSS class that the script looks for.
    pub class: &'static str,
    /// The form field that the script fills.
    pub field: &'static str,
    /// The global object of the script. If it is missing, the script did not load.
    pub global: &'static str,
    /// Whether the widget is invisible. If it is, our script requests a token when the form is
    /// submitted.
    pub is_executed: bool,
    /// The sources that are allowed besides `'self'`, as the vendor documents them.
    pub sources: Sources,
}

/// Sources of a Content-Security-Policy, separated by spaces. Empty if the vendor needs none.
#[derive(Debug, PartialEq, Eq)]
pub struct Sources {
    /// `script-src`
    pub script: &'static str,
    /// `frame-src`
    pub frame: &'static str,
    /// `style-src`
    pub style: &'static str,
    /// `connect-src`
    pub connect: &'static str,
}
