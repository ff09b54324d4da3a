//! Rules of the settings that make us ask others: captcha vendors and the service of breached passwords.

use super::check::Rules;
use super::url::Url;

/// Keys that captcha vendors publish for tests: every answer passes, or none.
const VENDORS_TEST_KEYS: [&str; 14] = [
    // FairSemaphore: secrets, then site keys.
    "1x0000000000000000000000000000000AA",
    "2x0000000000000000000000000000000AA",
    "3x0000000000000000000000000000000AA",
    "1x00000000000000000000AA",
    "2x00000000000000000000AB",
    "1x00000000000000000000BB",
    "2x00000000000000000000BB",
    "3x00000000000000000000FF",
    // hCaptcha: secret, then site keys.
    "0x0000000000000000000000000000000000000000",
    "10000000-ffff-ffff-ffff-000000000001",
    "20000000-ffff-ffff-ffff-000000000002",
    "30000000-ffff-ffff-ffff-000000000003",
    // reCAPTCHA: site key, then secret.
    "6LeIxAcTAAAAAJcZVRqyHh71UMIEGNQ_MXjiZKhI",
    "6LeIxAcTAAAAAGG-vFI1TnRWxMZNFuojJ4WifJWe",
];

const VENDORS: [&str; 3] = ["turnstile", "hcaptcha", "recaptcha"];

impl Rules<'_> {
    /// What a vendor needs, and what has no effect without one.
    pub(super) fn captcha(&mut self) {
        for key in ["captcha.secret", "captcha.site_key"] {
            if self.values.text(key).is_some_and(|value| VENDORS_TEST_KEYS.contains(&value)) {
                self.unfit(key, "is the vendor's published test key", "use the key of your site");
            }
        }
        if VENDORS.iter().any(|vendor| self.is("captcha.provider", vendor)) {
            self.vendor();
        } else if self.values.word("captcha.provider").is_some() {
            for key in ["secret", "site_key", "verify_url", "hostnames", "min_score"] {
                let key = format!("captcha.{key}");
                if self.is_there(&key) {
                    self.warning(&key, "has no effect without a vendor", "remove it");
                }
            }
            if self.is("captcha.fallback", "altcha") {
                self.warning("captcha.fallback", "has no effect without a vendor", "remove it");
            }
        }
    }

    fn vendor(&mut self) {
        if !self.is_there("captcha.secret") {
            let fix = "give the secret that the vendor shows for your site";
            self.problem("captcha.secret", "missing: `captcha.provider` is a vendor", fix);
        }
        let asks = |point: &str| {
            self.values.list("captcha.on").is_some_and(|on| on.iter().any(|word| word == point))
        };
        if asks("forgot") && !self.is_there("captcha.site_key") {
            let fix = "give the public key that the vendor shows for your site";
            let what = "missing: the page behind /reset-password shows the widget";
            self.problem("captcha.site_key", what, fix);
        }
        if self.values.list("captcha.hostnames").is_some_and(<[String]>::is_empty) {
            let fix = "list the hosts of the pages that show the widget";
            self.problem("captcha.hostnames", "is empty: every answer would be refused", fix);
        }
        // Silently without effect it would be a promise that nobody keeps.
        if self.is_there("captcha.min_score") && !self.is("captcha.provider", "recaptcha") {
            let what = "is of reCAPTCHA v3 alone";
            self.problem("captcha.min_score", what, "remove it, or use recaptcha");
        }
    }

    /// The URLs that we ask: https but on this machine. Their kind allows nothing in them that a log must not show.
    pub(super) fn egress(&mut self) {
        for key in ["captcha.verify_url", "password.breach_url"] {
            let Some(url) = self.values.text(key).and_then(Url::parse) else { continue };
            let is_plain = url.scheme == "http" && !url.is_loopback();
            if is_plain {
                self.problem(key, "is plain http and not this machine", "use https");
            }
        }
    }
}
