//! The settings of captchas: `captcha.*`.

use super::settings;
use crate::config::kind::Item::{self, Host};
use crate::config::kind::Kind::{Fraction, List, Secret as SecretText, Text, Url, Word};
use crate::config::setting::Fallback::{Derived, Is, Nothing};
use crate::config::words::{CaptchaFallback, CaptchaPoint, CaptchaProvider};
use crate::secret::Secret;

settings! {
    /// Captchas: the price of automated requests
    Captcha = "captcha" {
        /// `altcha` is built in, a proof of work; `none` turns captchas off; the others are
        /// vendors: see `docs/captcha.md`.
        provider: CaptchaProvider = "captcha.provider", Word(CaptchaProvider::WORDS), Is("altcha");
        /// The requests that need a captcha.
        on: Vec<CaptchaPoint> = "captcha.on", List(Item::Word(CaptchaPoint::WORDS)), Is("resend");
        /// The vendor's secret of this site; required with a vendor.
        secret: Option<Secret<String>> = "captcha.secret", SecretText,
            Nothing("the-secret-of-your-site");
        /// The vendor's public key of this site; required where a page of latchkey shows the widget
        /// (`forgot`).
        site_key: Option<String> = "captcha.site_key", Text, Nothing("the-key-of-your-site");
        /// Hosts of the pages that show the vendor's widget. A captcha from another host is
        /// refused.
        hostnames: Vec<String> = "captcha.hostnames", List(Host),
            Derived("the host of `public_url`", "app.example.com");
        /// The lowest accepted score of reCAPTCHA v3. With it the keys are of v3, without it of v2.
        min_score: Option<f64> = "captcha.min_score", Fraction, Nothing("0.5");
        /// Another address of the vendor's check than its usual one; https, or this machine.
        verify_url: Option<String> = "captcha.verify_url", Url(&["http", "https"]),
            Nothing("https://captcha.example.com/siteverify");
        /// What is accepted while the vendor does not respond: nothing, or the built-in proof of
        /// work.
        fallback: CaptchaFallback = "captcha.fallback", Word(CaptchaFallback::WORDS), Is("none");
    }
}
