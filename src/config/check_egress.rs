//! Rules of the settings that make latchkey send requests: to captcha vendors and to the service of
//! breached passwords. Also the rules of the certificate authorities of other connections.

use super::check::Rules;
use super::problems::Problem;
use super::telemetry::Telemetry;
use super::url::Url;

/// Keys that captcha vendors publish for tests. With some of these keys every captcha passes, with
/// the others no captcha passes.
const VENDORS_TEST_KEYS: [&str; 14] = [
    // Cloudflare Turnstile: secrets, then site keys.
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
    /// Checks the settings that a captcha vendor needs, and the settings that have no effect
    /// without a vendor.
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
                    self.warning(
                        &key,
                        "has no effect, because `captcha.provider` is not a vendor",
                        "remove it",
                    );
                }
            }
            if self.is("captcha.fallback", "altcha") {
                self.warning(
                    "captcha.fallback",
                    "has no effect, because `captcha.provider` is not a vendor",
                    "remove it",
                );
            }
        }
    }

    fn vendor(&mut self) {
        if !self.is_there("captcha.secret") {
            let fix = "set the secret that the vendor shows for your site";
            self.problem("captcha.secret", "is missing, but `captcha.provider` is a vendor", fix);
        }
        let asks = |point: &str| {
            self.values.list("captcha.on").is_some_and(|on| on.iter().any(|word| word == point))
        };
        if asks("forgot") && !self.is_there("captcha.site_key") {
            let fix = "set the public key that the vendor shows for your site";
            let what = "is missing, but the page /reset-password shows the vendor's widget";
            self.problem("captcha.site_key", what, fix);
        }
        if self.values.list("captcha.hostnames").is_some_and(<[String]>::is_empty) {
            let fix = "list the hosts of the pages that show the widget";
            self.problem("captcha.hostnames", "is empty, so every captcha would be refused", fix);
        }
        // With another vendor the setting would have no effect, and the operator would not notice.
        if self.is_there("captcha.min_score") && !self.is("captcha.provider", "recaptcha") {
            let what = "has an effect only with reCAPTCHA v3";
            self.problem(
                "captcha.min_score",
                what,
                "remove it, or set `captcha.provider` to recaptcha",
            );
        }
    }

    /// Requires https for the URLs of captcha vendors and of the service of breached passwords,
    /// unless the host is this machine. Settings of this kind cannot contain credentials, so a log
    /// may show these URLs.
    pub(super) fn egress(&mut self) {
        for key in ["captcha.verify_url", "password.breach_url"] {
            let Some(url) = self.values.text(key).and_then(Url::parse) else { continue };
            let is_plain = url.scheme == "http" && !url.is_loopback();
            if is_plain {
                self.problem(key, "is plain http to another machine", "use https");
            }
        }
    }

    /// Warns about files of certificate authorities that have no effect.
    pub(super) fn authorities(&mut self) {
        let values = self.values;
        let url = |key: &str| values.text(key).unwrap_or_default();
        let (database, redis) = (url("database.url"), url("redis.url"));
        let is_mail_encrypted = {
            let url = url("mail.smtp_url");
            url.starts_with("smtps:") || url.contains("?tls=")
        };
        for (key, is_used, reason) in [
            ("database.ca_file", database.starts_with("postgres"), "the database is SQLite"),
            ("redis.ca_file", redis.starts_with("rediss"), "`redis.url` does not use TLS"),
            ("mail.ca_file", is_mail_encrypted, "`mail.smtp_url` does not use TLS"),
        ] {
            if self.is_there(key) && !is_used {
                self.warning(key, &format!("has no effect, because {reason}"), "remove it");
            }
        }
    }
}

/// Warns about the headers of an export, which are often a collector's credentials, if they are
/// sent to another machine over plain http.
pub(super) fn unencrypted_headers(telemetry: &Telemetry) -> Option<Problem> {
    let signals = [&telemetry.traces, &telemetry.metrics, &telemetry.logs];
    let leaves = |url: &Url<'_>| url.scheme == "http" && !url.is_loopback();
    let to = signals.into_iter().flatten().find(|it| {
        !it.headers.is_empty() && Url::parse(&it.endpoint).is_some_and(|url| leaves(&url))
    })?;
    let what = format!(
        "is plain http to another machine ({}), so the headers of the telemetry, which may contain \
         credentials, are sent without encryption",
        to.endpoint
    );
    Some(Problem::new("telemetry.endpoint", what, "use https, or remove the headers"))
}
