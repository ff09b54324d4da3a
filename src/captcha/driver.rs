//! [`Driver`]: what a vendor documents, as data. Each vendor's is in a file of its own.

use std::time::Duration;

use crate::telemetry::labels::CaptchaProvider;

/// A vendor of captchas, as far as one differs from another.
#[derive(Debug, PartialEq, Eq)]
pub struct Driver {
    /// As in metrics.
    pub provider: CaptchaProvider,
    /// Its siteverify, where `captcha.verify_url` names no other.
    pub verify_url: &'static str,
    /// A token's greatest length; a longer one is refused unasked.
    pub token_bytes_max: usize,
    /// How old `challenge_ts` may be.
    pub age_max: Duration,
    /// Whether an answer names the action that the widget was made for, so that a token of one form is no good on another.
    pub has_action: bool,
    /// What an answer's `score` is to us.
    pub score: Score,
    /// Whether siteverify takes the site's public key, to refuse tokens of another one.
    pub takes_site_key: bool,
    /// Error codes that only the operator can mend.
    pub operators_codes: &'static [&'static str],
    /// Error codes that say nothing about the token: the vendor is in trouble.
    pub vendors_codes: &'static [&'static str],
    /// What a page shows.
    pub widget: Widget,
}

/// What an answer's `score` is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// Not looked at.
    Ignored,
    /// From 0, a machine, to 1, a person; must be there.
    Needed,
    /// Must not be there: the keys are of another kind than the settings say.
    Foreign,
}

/// What a page of ours loads to show the vendor's widget, and what its Content-Security-Policy has to allow for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Widget {
    /// The vendor's script. With [`Widget::is_executed`] the site's key is appended.
    pub script: &'static str,
    /// The class that the script looks for.
    pub class: &'static str,
    /// The form's field that it fills.
    pub field: &'static str,
    /// The script's global object; when it is missing, the script did not load.
    pub global: &'static str,
    /// There is nothing to see: a script of ours asks for a token when the form is sent.
    pub is_executed: bool,
    /// What is allowed beside `'self'`, as the vendor documents.
    pub sources: Sources,
}

/// Sources of a Content-Security-Policy, separated by spaces; empty where the vendor needs none.
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
