//! [`Vendor`]: the client of a vendor's siteverify endpoint.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::driver::Driver;
use super::siteverify::{self, Expected, Judgement};
use super::{HCAPTCHA, RECAPTCHA_V2, RECAPTCHA_V3, TURNSTILE};
use crate::clock::{Clock, UnixMillis};
use crate::config::{self, CaptchaPoint, CaptchaProvider};
use crate::egress::{Breaker, Egress, EgressError, Endpoint, EndpointError, Limits, Reply};
use crate::secret::Secret;
use crate::telemetry::Metrics;

/// The limits of a request to a vendor: 1 s to connect and 2 s in total. Together with 0.5 s for
/// the token store, this is less than the 3 s that the pool gives a caller. Responses have about
/// 300 bytes. The limit of 64 KiB leaves room for JSON members that a vendor may add in the future.
pub const LIMITS: Limits = Limits {
    connect: Duration::from_secs(1),
    total: Duration::from_secs(2),
    body_bytes_max: 64 * 1024,
};
/// An invalid token, which probes send. If the vendor sends any siteverify response to it, the
/// vendor works.
const PROBE: &str = "latchkey-probe";
/// The minimum time between two log lines about wrong settings, in milliseconds.
const TELL_EVERY_MS: i64 = 60_000;

/// A captcha vendor with the operator's settings.
#[derive(Debug)]
pub struct Vendor {
    driver: &'static Driver,
    endpoint: Endpoint,
    secret: ArcSwap<Secret<String>>,
    site_key: Option<String>,
    hostnames: Vec<String>,
    score_min: f64,
    egress: Egress,
    breaker: Breaker,
    clock: Clock,
    told_at: AtomicI64,
}

/// The result of checking a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The token is valid. The token store must remember until the time `until` that the token was
    /// used, so that it is accepted only once.
    Good {
        /// From this time on, the token is refused because it is too old.
        until: UnixMillis,
    },
    Refused,
}

/// Why a token could not be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerificationError {
    /// The vendor sent no response.
    Egress(EgressError),
    /// The status of the response was not 200.
    Status(u16),
    /// The response is not JSON, or it does not have the form of a siteverify response.
    Malformed,
    /// The vendor reports that it has a problem.
    Trouble,
    /// The breaker is open, so the vendor was not called.
    NotAsked,
    /// The captcha settings are wrong.
    Misconfigured(&'static str),
}

impl fmt::Display for VerificationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Egress(error) => error.fmt(f),
            Self::Status(status) => write!(f, "the vendor responded with status {status}"),
            Self::Malformed => f.write_str("the vendor's response is not a siteverify response"),
            Self::Trouble => f.write_str("the vendor reports an error of its own"),
            Self::NotAsked => {
                f.write_str("the vendor did not respond before, so it is not called now")
            }
            Self::Misconfigured(code) => write!(f, "the captcha settings are wrong: {code}"),
        }
    }
}

impl Error for VerificationError {}

impl VerificationError {
    /// Whether the error is independent of the token that was sent. A client cannot cause such an
    /// error with a token.
    ///
    /// Only such errors count for the breaker. This also applies to errors of a probe. If a vendor
    /// limits latchkey's requests, it refuses a probe in the same way as a client's token.
    fn is_the_vendors(&self) -> bool {
        match self {
            Self::Egress(error) => *error != EgressError::TooLarge,
            Self::Status(status) => *status >= 500,
            _ => false,
        }
    }
}

/// Why the vendor in the settings cannot be used.
pub type SetupError = Box<dyn Error + Send + Sync>;

impl Vendor {
    /// Creates the vendor that the settings select. Returns `None` if the settings select the
    /// built-in provider or no provider.
    pub fn new(
        settings: &config::Captcha,
        limits: Limits,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Option<Self>, SetupError> {
        let driver = match (settings.provider, settings.min_score) {
            (CaptchaProvider::Altcha | CaptchaProvider::None, _) => return Ok(None),
            (CaptchaProvider::CloudflareTurnstile, _) => &TURNSTILE,
            (CaptchaProvider::Hcaptcha, _) => &HCAPTCHA,
            (CaptchaProvider::Recaptcha, None) => &RECAPTCHA_V2,
            (CaptchaProvider::Recaptcha, Some(_)) => &RECAPTCHA_V3,
        };
        let url = settings.verify_url.as_deref().unwrap_or(driver.verify_url);
        let endpoint = Endpoint::parse(url)
            .map_err(|error: EndpointError| format!("captcha.verify_url {error}"))?;
        Ok(Some(Self {
            driver,
            endpoint,
            secret: ArcSwap::from_pointee(
                settings.secret.clone().ok_or("captcha.secret is missing")?,
            ),
            site_key: settings.site_key.clone(),
            hostnames: settings.hostnames.clone(),
            score_min: settings.min_score.unwrap_or_default(),
            egress: Egress::new(limits, metrics)?,
            breaker: Breaker::new(clock.clone()),
            clock,
            told_at: AtomicI64::new(i64::MIN),
        }))
    }

    pub fn driver(&self) -> &'static Driver {
        self.driver
    }

    /// Replaces the secret for siteverify. The new secret is used from the next request on.
    pub fn replace_secret(&self, secret: Secret<String>) {
        self.secret.store(Arc::new(secret));
    }

    /// The public site key from the settings.
    pub fn site_key(&self) -> Option<&str> {
        self.site_key.as_deref()
    }

    /// Whether the vendor failed three times in a row and has not responded since then.
    pub fn is_in_doubt(&self) -> bool {
        self.breaker.is_open()
    }

    /// Asks the vendor whether a token is valid. If the text cannot be a token, it is refused
    /// without a request to the vendor.
    pub async fn check(
        &self,
        token: &str,
        point: CaptchaPoint,
        client: IpAddr,
    ) -> Result<Checked, VerificationError> {
        // Tokens of all vendors contain only these characters. Other characters are refused because
        // a vendor might ignore white space around a token. Then the same token, with added white
        // space, would be accepted a second time.
        let is_one = token.len() <= self.driver.token_bytes_max
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.is_empty() || !is_one {
            return Ok(Checked::Refused);
        }
        let pass = self.breaker.pass().ok_or(VerificationError::NotAsked)?;
        let judged = self.ask(token, Some(client)).await.and_then(|body| {
            let expected = Expected {
                driver: self.driver,
                hostnames: &self.hostnames,
                action: action(point),
                score_min: self.score_min,
            };
            match siteverify::verify(&body, &expected, self.clock.now()) {
                Judgement::Good { until } => Ok(Checked::Good { until }),
                Judgement::Refused(reason) => {
                    tracing::debug!(
                        provider = self.driver.provider.name(),
                        ?reason,
                        "the captcha was refused"
                    );
                    Ok(Checked::Refused)
                }
                Judgement::Misconfigured(code) => Err(VerificationError::Misconfigured(code)),
                Judgement::Trouble => Err(VerificationError::Trouble),
                Judgement::Malformed => Err(VerificationError::Malformed),
            }
        });
        match &judged {
            Ok(_) => pass.answered(),
            Err(VerificationError::Misconfigured(code)) => {
                pass.answered();
                self.report(code);
            }
            Err(error) if error.is_the_vendors() => pass.failed(),
            Err(_) => drop(pass),
        }
        judged
    }

    /// Returns whether the vendor is known to fail. To find this out, it sends the vendor an
    /// invalid token. It sends nothing if the vendor responded in the last ten seconds, or while
    /// the breaker is open and lets no request through.
    ///
    /// # Errors
    /// The error of this probe, if the vendor has not failed three times in a row yet.
    pub async fn probe(&self) -> Result<bool, VerificationError> {
        if self.breaker.is_fresh() {
            return Ok(false);
        }
        let Some(pass) = self.breaker.pass() else { return Ok(true) };
        let answered = self.ask(PROBE, None).await.and_then(|body| {
            if siteverify::is_answer(&body) { Ok(()) } else { Err(VerificationError::Malformed) }
        });
        match answered {
            Ok(()) => pass.answered(),
            Err(error) => {
                if error.is_the_vendors() {
                    pass.failed();
                } else {
                    drop(pass);
                }
                if !self.breaker.is_open() {
                    return Err(error);
                }
            }
        }
        Ok(self.breaker.is_open())
    }

    async fn ask(
        &self,
        token: &str,
        client: Option<IpAddr>,
    ) -> Result<bytes::Bytes, VerificationError> {
        let (client, secret) = (client.map(|client| client.to_string()), self.secret.load_full());
        let mut form = vec![("secret", secret.expose().as_str()), ("response", token)];
        form.extend(client.as_deref().map(|client| ("remoteip", client)));
        let site_key = self.site_key.as_deref().filter(|_| self.driver.takes_site_key);
        form.extend(site_key.map(|key| ("sitekey", key)));
        match self.egress.post_form(&self.endpoint, &form).await {
            Err(error) => Err(VerificationError::Egress(error)),
            Ok(Reply { status: 200, is_json: true, body }) => Ok(body),
            Ok(Reply { status: 200, .. }) => Err(VerificationError::Malformed),
            // If the secret is wrong, some vendors respond with the status 4xx and the same JSON.
            Ok(Reply { status: 400..500, is_json: true, body }) if siteverify::is_no(&body) => {
                Ok(body)
            }
            Ok(Reply { status, .. }) => Err(VerificationError::Status(status)),
        }
    }

    /// Logs an error about wrong settings, at most once a minute.
    fn report(&self, code: &'static str) {
        let now = self.clock.now();
        let told_at = self.told_at.swap(now, Ordering::Relaxed);
        if now.saturating_sub(told_at) >= TELL_EVERY_MS {
            tracing::error!(
                provider = self.driver.provider.name(),
                code,
                "the captcha vendor rejects the settings of latchkey, so every captcha is \
                 refused: check captcha.*"
            );
        } else {
            self.told_at.store(told_at, Ordering::Relaxed);
        }
    }
}

/// The action of the widget at a point. It is the name of the point, with underscores in place of
/// hyphens, because reCAPTCHA does not allow hyphens in actions.
pub const fn action(point: CaptchaPoint) -> &'static str {
    match point {
        CaptchaPoint::Resend => "resend",
        CaptchaPoint::Register => "register",
        CaptchaPoint::Forgot => "forgot",
        CaptchaPoint::ExistEmail => "exist_email",
        CaptchaPoint::LoginAfterFailures => "login_after_failures",
    }
}
