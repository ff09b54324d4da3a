//! The captcha of a form, and the Content-Security-Policy of the page that contains the form.

use percent_encoding::utf8_percent_encode;

use super::CSP;
use super::trouble::QUERY;
use crate::captcha::driver::{Sources, Widget};

/// Whether a form carries a captcha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captcha<'a> {
    /// A proof of work. `/assets/captcha.js` solves a challenge from `GET /api/captcha` and fills
    /// the hidden field `captcha` before the form is sent.
    Needed,
    /// A captcha of a vendor. The script of the vendor shows a widget and fills a field whose name
    /// the vendor defines.
    Vendor(VendorCaptcha<'a>),
    /// The form has no captcha.
    NotNeeded,
}

/// A vendor's widget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorCaptcha<'a> {
    /// The values of the widget that the vendor documents.
    pub widget: &'static Widget,
    /// The site's public key.
    pub site_key: &'a str,
    /// The action that the token is valid for.
    pub action: &'static str,
    /// Whether a proof of work may replace the widget if the vendor's script does not load.
    pub falls_back: bool,
}

impl VendorCaptcha<'_> {
    /// The address of the vendor's script.
    pub fn script(&self) -> String {
        let key: &str = if self.widget.is_executed { self.site_key } else { "" };
        format!("{}{}", self.widget.script, utf8_percent_encode(key, &QUERY))
    }
}

/// The [`CSP`] for a page that shows a vendor's widget. It also allows the sources that the vendor
/// documents, and no others.
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
