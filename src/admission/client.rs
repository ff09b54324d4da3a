//! [`Client`]: the client of a request, with everything that the limits need.

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
    /// When the response is due.
    pub deadline: Instant,
    /// The client as audit events and mails name it.
    pub origin: RequestOrigin,
    /// The token of a known device, if the request has one.
    pub device_token: Option<Vec<u8>>,
    /// The live session of the request's userToken.
    pub session: Option<KnownSession>,
    /// The last limit that was checked, for the `RateLimit` headers of the response.
    pub rate: &'a mut Option<Headers>,
}

impl Client<'_> {
    /// The deadline and the origin, for a call to a worker.
    pub fn call(&self) -> (Instant, RequestOrigin) {
        (self.deadline, self.origin.clone())
    }
}

/// A live session, which counts as a known device of its account.
#[derive(Clone, Debug)]
pub struct KnownSession {
    pub sid: String,
    /// The email address of its account, in its normal form.
    pub address: String,
}

/// A limit refused the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// After this many seconds the request succeeds.
    pub retry_after_s: u64,
}

impl Decision {
    /// Counts the decision in the metrics, and sets the headers of the limit.
    ///
    /// # Errors
    /// [`Limited`] if the limit refuses.
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

    /// Sets the headers of the limit, and counts nothing.
    ///
    /// # Errors
    /// [`Limited`] if the limit refuses.
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
