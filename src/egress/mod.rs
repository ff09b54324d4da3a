//! Requests that we make of others: captcha vendors' siteverify, the service of breached passwords.
//!
//! The one room that speaks HTTP as a client. Its rules are the same for everybody (ASVS 1.3.6, 13.2.4, 15.3.2):
//!
//! - only URLs that the operator configured, read once by [`Endpoint::parse`]: https, or plain http to this machine; no
//!   request ever names a host;
//! - certificates are verified against Mozilla's authorities and the machine's own (`SSL_CERT_FILE` adds a private one);
//! - a redirect is an answer like any other and is not followed; no proxy is asked, no cookie kept;
//! - each request has a time to connect and a time in all, the body included, so that an answer in drips ends too; the
//!   body has a greatest length;
//! - a connection that is idle for 30 s is closed, and a new one looks its name up again;
//! - an [`EgressError`] never holds a path, a body or a header: neither a secret nor a person's data reaches a log.
//!
//! [`Breaker`] keeps an outage from piling up. What an answer means is the asking room's.

mod breaker;
mod client;
mod collector;
mod endpoint;

pub use breaker::{Breaker, Pass};
pub use client::{Egress, EgressError, Limits, Reply, authorities};
pub use collector::Collector;
pub use endpoint::{Endpoint, EndpointError};
