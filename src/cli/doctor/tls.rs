//! Checks the certificate of the public listener: whether it can be served, for which host it is
//! valid, and until when.

use super::certificate::{self, Validity};
use super::{Finding, Patient};
use crate::clock::{Clock, rfc3339};
use crate::config::TlsFiles;
use crate::http::tls::Tls;

/// If a certificate ends in fewer days than this, its renewal is late, because ACME clients renew a
/// certificate 30 days before its end.
const LATE_DAYS: i64 = 14;
const DAY_MS: i64 = 86_400_000;

pub(super) async fn run(patient: &Patient<'_>) -> Vec<Finding> {
    let Some(files) = patient.config.http.tls() else {
        return vec![Finding::skipped(
            "the daemon serves plain http: the proxy in front of it has the certificate",
        )];
    };
    if let Err(error) = Tls::load(files.clone()) {
        let remedy =
            "set the certificate chain and its own key, both in PEM and readable by the daemon";
        return vec![Finding::failed(error.to_string(), remedy)];
    }
    let Some((leaf, validity)) = leaf(&files) else {
        return vec![Finding::failed(
            "the certificate cannot be read",
            "set an X.509 certificate in PEM",
        )];
    };
    let mut found = vec![until(validity, Clock::System.now())];
    let host = url::Url::parse(&patient.config.public_url).ok();
    if let Some(host) = host.as_ref().and_then(url::Url::host_str) {
        found.push(if certificate::is_for(&leaf, host) {
            Finding::ok(format!("the certificate is for {host}"))
        } else {
            let remedy = "get a certificate for the host of `public_url`";
            Finding::failed(format!("the certificate is not for {host}"), remedy)
        });
    }
    found
}

fn leaf(files: &TlsFiles) -> Option<(Vec<u8>, Validity)> {
    let der = certificate::first(&files.cert)?;
    let validity = certificate::validity(&der)?;
    Some((der, validity))
}

fn until(validity: Validity, now: i64) -> Finding {
    let days = (validity.until - now) / DAY_MS;
    let end = rfc3339(validity.until);
    let remedy = "renew the certificate; the daemon loads the new files by itself";
    if now >= validity.until {
        Finding::failed(format!("expired at {end}"), remedy)
    } else if now < validity.from {
        let text = format!("is not valid before {}", rfc3339(validity.from));
        Finding::failed(
            text,
            "correct this machine's clock, or use a certificate that is valid now",
        )
    } else if days < LATE_DAYS {
        Finding::warning(format!("expires in {days} days, at {end}"), remedy)
    } else {
        Finding::ok(format!("is valid for {days} days, until {end}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_certificate_is_told_before_it_ends() {
        let validity = Validity { from: 10 * DAY_MS, until: 100 * DAY_MS };
        let at = |day: i64| until(validity, day * DAY_MS).state;
        assert_eq!(at(9), State::Failed, "not yet");
        assert_eq!(at(10), State::Ok);
        assert_eq!(at(86), State::Ok);
        assert_eq!(at(87), State::Warning);
        assert_eq!(at(100), State::Failed);
    }
}
