//! Checks the captcha vendor: whether it responds, and whether it knows latchkey's secret.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{Finding, Patient};
use crate::captcha::vendor::{LIMITS, Vendor, VerificationError};
use crate::clock::Clock;
use crate::config::CaptchaPoint;
use crate::telemetry::Metrics;

/// A captcha token that is not valid. A vendor that knows the secret refuses this token. A vendor
/// that does not know the secret reports the unknown secret instead.
const TOKEN: &str = "latchkey-doctor";

pub(super) async fn run(patient: &Patient<'_>) -> Vec<Finding> {
    let Ok(metrics) = Metrics::new() else { return Vec::new() };
    let settings = &patient.config.captcha;
    let vendor = match Vendor::new(settings, LIMITS, Clock::System, Arc::new(metrics)) {
        Ok(Some(vendor)) => vendor,
        Ok(None) => {
            return vec![Finding::skipped(
                "the captcha is built in or off, so no vendor is called",
            )];
        }
        Err(error) => return vec![Finding::failed(error.to_string(), "see docs/captcha.md")],
    };
    let name = vendor.driver().provider.name();
    let asked = vendor.check(TOKEN, CaptchaPoint::Resend, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
    vec![match asked {
        Ok(_) => Finding::ok(format!("{name} responds and knows the secret")),
        Err(VerificationError::Misconfigured(code)) => Finding::failed(
            format!("{name} rejects the settings: {code}"),
            "copy `captcha.secret` and `captcha.site_key` of this site again from the vendor",
        ),
        Err(doubt) => Finding::failed(
            format!("{name}: {doubt}"),
            "allow this machine to connect to the vendor, or set `captcha.fallback` to altcha",
        ),
    }]
}
