//! HTTP requests that latchkey sends to other services: the siteverify endpoints of captcha
//! vendors, the service of breached passwords, and telemetry collectors.
//!
//! [`Egress`] sends the requests to vendors and to the service of breached passwords. It follows
//! these rules (ASVS 1.3.6, 13.2.4, 15.3.2):
//!
//! - Requests go only to URLs that the operator configured. [`Endpoint::parse`] checks them once:
//!   https, or plain http to this machine. No incoming request can name a host.
//! - Certificates are verified against Mozilla's certificate authorities and those of the machine
//!   (`SSL_CERT_FILE` adds a private one).
//! - Redirects are not followed. No proxy and no cookies are used.
//! - Each request has a time limit for the connection and one in total. The total includes the
//!   body, so a slow response ends too. The body has a size limit.
//! - A connection that is idle for 30 s is closed, and a new connection resolves the host name
//!   again.
//! - An [`EgressError`] never contains a path, a body or a header, so that no secret and no
//!   personal data reach the log.
//!
//! [`Collector`] sends telemetry, with the same TLS settings and with its own limits. [`Breaker`]
//! stops requests during an outage. The calling module interprets the response.

mod breaker;
mod client;
mod collector;
mod endpoint;

pub use breaker::{Breaker, Pass};
pub use client::{Egress, EgressError, Limits, Reply, authorities};
pub use collector::Collector;
pub use endpoint::{Endpoint, EndpointError};
