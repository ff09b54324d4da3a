//! What a form shows of a captcha, and what the page's Content-Security-Policy allows for it.

use percent_encoding::utf8_percent_encode;

use super::CSP;
use super::trouble::QUERY;
use crate::captcha::driver::{Sources, Widget};

/// Whether a form carries a captcha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captcha<'a> {
    /// A proof of work, solved by `/assets/captcha.js` from `GET /api/captcha`: the hidden member `captcha` is filled
    /// before the form is sent.
    Needed,
    /// A vendor's: its script shows a widget and fills a member of its own name.
    Vendor(VendorCaptcha<'a>),
    /// The form is sent as it is.
    NotNeeded,
}

/// A vendor's widget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorCaptcha<'a> {
    /// What the vendor documents.
    pub widget: &'static Widget,
    /// The site's public key.
    pub site_key: &'a str,
    /// What the token is good for.
    pub action: &'static str,
    /// Whether a proof of work may stand in where the vendor's script does not load.
    pub falls_back: bool,
}

impl VendorCaptcha<'_> {
    /// Where its script is.
    pub fn script(&self) -> String {
        let key: &str = if self.widget.is_executed { self.site_key } else { "" };
        format!("{}{}", self.widget.script, utf8_percent_encode(key, &QUERY))
    }
}

/// [`CSP`] for the one page that shows a captcha vendor's widget: what the vendor documents is allowed, nothing else.
pub fn csp_with(sources: &Sources) -> String {
    let add = |policy: String, directive: &str, more: &str| match more {
        "" => policy,
        more => {
            policy.replace(&format!("{directive} 'self';"), &format!("{directive} 'self' {more};"))
        }
    };
    let policy = add(CSP.to_owned(), "script-src", sources.script);
    let policy = add(policy, "frame-src", sources.frame);
    let policy = add(policy, "style-src", sources.style);
    add(policy, "connect-src", sources.connect)
}
