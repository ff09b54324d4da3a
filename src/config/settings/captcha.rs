//! The settings of captchas: `captcha.*`.

use super::settings;
use crate::config::kind::Item::{self, Host};
use crate::config::kind::Kind::{Fraction, List, Secret as SecretText, Text, Url, Word};
use crate::config::setting::Fallback::{Derived, Is, Nothing};
use crate::config::words::{CaptchaFallback, CaptchaPoint, CaptchaProvider};
use crate::secret::Secret;

settings! {
    /// Captchas, which make automated requests expensive
    Captcha = "captcha" {
        /// The provider of captchas. `altcha` is the built-in proof of work. `none` turns captchas
        /// off. The other values are vendors (see `docs/captcha.md`).
        provider: CaptchaProvider = "captcha.provider", Word(CaptchaProvider::WORDS), Is("altcha");
        /// The requests that need a captcha.
        on: Vec<CaptchaPoint> = "captcha.on", List(Item::Word(CaptchaPoint::WORDS)), Is("resend");
        /// The secret that the vendor shows for your site. It is required if `captcha.provider` is
        /// a vendor.
        secret: Option<Secret<String>> = "captcha.secret", SecretText,
            Nothing("the-secret-of-your-site");
        /// The public key that the vendor shows for your site. It is required if `captcha.on`
        /// contains `forgot`, because a page of latchkey then shows the vendor's widget.
        site_key: Option<String> = "captcha.site_key", Text, Nothing("the-key-of-your-site");
        /// The hosts of the pages that show the vendor's widget. A captcha from another host is
        /// refused.
        hostnames: Vec<String> = "captcha.hostnames", List(Host),
            Derived("the host of `public_url`", "app.example.com");
        /// The minimum score of reCAPTCHA v3 that is accepted. If you set a score, use keys of
        /// reCAPTCHA v3. If you set no score, use keys of reCAPTCHA v2.
        min_score: Option<f64> = "captcha.min_score", Fraction, Nothing("0.5");
        /// The URL at which latchkey checks captchas. Without this setting, latchkey uses the
        /// vendor's usual URL. The URL must use https, unless its host is this machine.
        verify_url: Option<String> = "captcha.verify_url", Url(&["http", "https"]),
            Nothing("https://captcha.example.com/siteverify");
        /// Which captchas latchkey accepts while the vendor does not respond. `none`: latchkey
        /// accepts no captcha. `altcha`: latchkey accepts the built-in proof of work.
        fallback: CaptchaFallback = "captcha.fallback", Word(CaptchaFallback::WORDS), Is("none");
    }
}
