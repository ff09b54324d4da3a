//! Checks the certificate of the public listener: whether it can be served, for which host it is
//! valid, and until when.

use super::certificate::{self, Validity};
use super::{Finding, Patient};
use crate::clock::{Clock, rfc3339};
use crate::config::TlsFiles;
use crate::http::tls::Tls;

/// From this many days before its end on, a renewal is late: ACME clients renew 30 days ahead.
const LATE_DAYS: i64 = 14;
const DAY_MS: i64 = 86_400_000;

pub(super) async fn run(patient: &Patient<'_>) -> Vec<Finding> {
    let Some(files) = patient.config.http.tls() else {
        return vec![Finding::skipped("plain http: whatever stands in front has the certificate")];
    };
    if let Err(error) = Tls::load(files.clone()) {
        let remedy = "give the chain and its own key, both in PEM, readable by the daemon";
        return vec![Finding::failed(error.to_string(), remedy)];
    }
    let Some((leaf, validity)) = leaf(&files) else {
        return vec![Finding::failed("the certificate cannot be read", "give one of X.509 in PEM")];
    };
    let mut found = vec![until(validity, Clock::System.now())];
    let host = url::Url::parse(&patient.config.public_url).ok();
    if let Some(host) = host.as_ref().and_then(url::Url::host_str) {
        found.push(if certificate::is_for(&leaf, host) {
            Finding::ok(format!("is for {host}"))
        } else {
            let remedy = "get one whose names hold the host of `public_url`";
            Finding::failed(format!("is not for {host}"), remedy)
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
    let remedy = "renew it; the daemon reads the new files by itself";
    if now >= validity.until {
        Finding::failed(format!("ended at {end}"), remedy)
    } else if now < validity.from {
        let text = format!("begins only at {}", rfc3339(validity.from));
        Finding::failed(text, "set this machine's clock, or take one that holds")
    } else if days < LATE_DAYS {
        Finding::warning(format!("ends in {days} days, at {end}"), remedy)
    } else {
        Finding::ok(format!("holds for {days} days, until {end}"))
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
