//! The HTTP requests that latchkey sends to other services: to the siteverify endpoints of captcha
//! vendors, to the service of breached passwords, and to telemetry collectors.
//!
//! [`Egress`] sends the requests to vendors and to the service of breached passwords. It follows
//! these rules (ASVS 1.3.6, 13.2.4, 15.3.2):
//!
//! - Requests go only to URLs that the operator configured. [`Endpoint::parse`] checks each URL
//!   once. It must be https, or plain http to this machine. An incoming request cannot select the
//!   host.
//! - Certificates are verified against Mozilla's certificate authorities and those of the machine.
//!   An operator can add a private certificate authority with `SSL_CERT_FILE`.
//! - Redirects are not followed. Proxies and cookies are not used.
//! - Each request has a time limit for the connection and a time limit in total. The total time
//!   includes the response body, so a slow response is also ended. The body has a size limit.
//! - A connection that is idle for 30 s is closed, and a new connection resolves the host name
//!   again.
//! - An [`EgressError`] never contains a path, a body or a header. So the log gets no secret and no
//!   personal data from it.
//!
//! [`Collector`] sends telemetry. It has the same TLS settings and its own limits. [`Breaker`]
//! stops requests while a service does not respond. The module that sends a request interprets the
//! response.

mod breaker;
mod client;
mod collector;
mod endpoint;

pub use breaker::{Breaker, Pass};
pub use client::{Egress, EgressError, Limits, Reply};
pub use collector::Collector;
pub use endpoint::{Endpoint, EndpointError};
