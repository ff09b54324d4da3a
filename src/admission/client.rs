//! [`Client`]: the client of a request, with all values that the limits need.

use std::net::IpAddr;

use tokio::time::Instant;

use super::limiter::{Decision, Headers};
use crate::audit::RequestOrigin;
use crate::client_key::ClientKey;
use crate::telemetry::Metrics;
use crate::telemetry::labels::{self, AddressPolicy, RateDecision};

#[derive(Debug)]
pub struct Client<'a> {
    pub ip: IpAddr,
    /// The key by which fair queues group clients.
    pub key: ClientKey,
    /// The time by which the response must be sent.
    pub deadline: Instant,
    /// The origin of the request, as audit events and mails show it.
    pub origin: RequestOrigin,
    /// The token of a known device, if the request contains one.
    pub device_token: Option<Vec<u8>>,
    /// The live session that the request's userToken belongs to, if there is one.
    pub session: Option<KnownSession>,
    /// Receives the state of the last limit that was checked. The response shows it in its
    /// `RateLimit` headers.
    pub rate: &'a mut Option<Headers>,
}

impl Client<'_> {
    /// The deadline and the origin, for a call to a worker.
    pub fn call(&self) -> (Instant, RequestOrigin) {
        (self.deadline, self.origin.clone())
    }
}

/// A live session. Attempts with this session are counted like those of a known device of its
/// account.
#[derive(Clone, Debug)]
pub struct KnownSession {
    pub sid: String,
    /// The email address of the session's account, in its normal form.
    pub address: String,
}

/// A limit refused the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The client can send the request again after this many seconds.
    pub retry_after_s: u64,
}

impl Decision {
    /// Counts the decision in the metrics, and writes the headers of the limit to `rate`.
    ///
    /// # Errors
    /// [`Limited`] if the limit refused the request.
    pub fn enforce(&self, rate: &mut Option<Headers>, metrics: &Metrics) -> Result<(), Limited> {
        let (outcome, headers) = match self {
            Self::Unlimited => return Ok(()),
            Self::Allowed(headers) => (labels::Decision::Allowed, headers),
            Self::Limited { headers, .. } => (labels::Decision::Limited, headers),
        };
        let policy = AddressPolicy::declared(headers.policy_name);
        metrics.rate_limit_decisions.one(RateDecision::Address(policy, outcome));
        self.report(rate)
    }

    /// Writes the headers of the limit to `rate`. It does not count the decision in the metrics.
    ///
    /// # Errors
    /// [`Limited`] if the limit refused the request.
    pub fn report(&self, rate: &mut Option<Headers>) -> Result<(), Limited> {
        match *self {
            Self::Unlimited => Ok(()),
            Self::Allowed(headers) => {
                *rate = Some(headers);
                Ok(())
            }
            Self::Limited { headers, retry_after_s } => {
                *rate = Some(headers);
                Err(Limited { retry_after_s })
            }
        }
    }
}
