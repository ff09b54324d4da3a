//! [`Driver`]: the documented properties of a captcha vendor, as data. Each vendor's data is in its
//! own file.

use std::time::Duration;

use crate::telemetry::labels::CaptchaProvider;

/// The properties in which captcha vendors differ.
#[derive(Debug, PartialEq, Eq)]
pub struct Driver {
    /// The vendor's label in metrics.
    pub provider: CaptchaProvider,
    /// The URL of siteverify. It is used if `captcha.verify_url` is not set.
    pub verify_url: &'static str,
    /// The maximum length of a token. A longer token is refused without a request to the vendor.
    pub token_bytes_max: usize,
    /// The maximum age of a token, counted from its `challenge_ts`.
    pub age_max: Duration,
    /// Whether the response contains the action of the widget. If it does, a token that was solved
    /// for one form is refused for another form.
    pub has_action: bool,
    /// How latchkey uses the `score` of a response.
    pub score: Score,
    /// Whether the siteverify request contains the public site key, so that the vendor refuses
    /// tokens of other sites.
    pub takes_site_key: bool,
    /// Error codes of a response that mean that the operator's settings are wrong.
    pub operators_codes: &'static [&'static str],
    /// Error codes of a response that mean that the vendor has a problem. They do not mean that the
    /// token is wrong.
    pub vendors_codes: &'static [&'static str],
    /// The widget that latchkey's pages show.
    pub widget: Widget,
}

/// How latchkey uses the `score` of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// The score is not read.
    Ignored,
    /// The score is required. It is between 0 (a bot) and 1 (a human).
    Needed,
    /// The response must not contain a score. If it does, the configured keys belong to another
    /// version of the vendor's captcha than the settings say.
    Foreign,
}

/// The files that latchkey's pages load to show the vendor's widget, and the sources that the
/// Content-Security-Policy must allow for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Widget {
    /// The URL of the vendor's script. If [`Widget::is_executed`] is true, the site key is appended
    /// to the URL.
    pub script: &'static str,
    /// The CSS class of the element in which the script shows the widget.
    pub class: &'static str,
    /// The name of the form field into which the script writes the token.
    pub field: &'static str,
    /// The global object that the script creates. If it is missing, the script was not loaded.
    pub global: &'static str,
    /// Whether the widget is invisible. If it is, latchkey's script requests a token when the user
    /// submits the form.
    pub is_executed: bool,
    /// The sources that the Content-Security-Policy must allow in addition to `'self'`, as the
    /// vendor documents them.
    pub sources: Sources,
}

/// Sources for the directives of a Content-Security-Policy, separated by spaces. A text is empty if
/// the vendor needs no source for that directive.
#[derive(Debug, PartialEq, Eq)]
pub struct Sources {
    /// Sources for the directive `script-src`.
    pub script: &'static str,
    /// Sources for the directive `frame-src`.
    pub frame: &'static str,
    /// Sources for the directive `style-src`.
    pub style: &'static str,
    /// Sources for the directive `connect-src`.
    pub connect: &'static str,
}
