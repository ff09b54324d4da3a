//! [`Access`]: one request as operators see it: counted while it is in work, measured and logged once when it ends,
//! whichever way.

use std::net::IpAddr;

use hyper::StatusCode;
use opentelemetry::KeyValue;
use tokio::time::Instant;

use super::cx::{Cx, Transport};
use crate::app::App;

/// What logs and metrics say of a request whose client left before the answer was there: nginx's, and nobody's status.
const CLIENT_CLOSED: u16 = 499;

/// A request in work. Dropped without an answer, its client has left: hyper drops the future with the connection.
pub(super) struct Access<'a> {
    app: &'a App,
    method: &'static str,
    /// The route's template; none where there is no route.
    route: Option<&'static str>,
    scheme: &'static str,
    client: IpAddr,
    started: Instant,
    span: tracing::Span,
    ended: bool,
}

impl<'a> Access<'a> {
    /// A request whose head was read.
    pub(super) fn begin(
        app: &'a App,
        cx: &Cx,
        (method, route): (&'static str, Option<&'static str>),
        started: Instant,
        span: tracing::Span,
    ) -> Self {
        let scheme = if cx.transport == Transport::Tls { "https" } else { "http" };
        let this =
            Self { app, method, route, scheme, client: cx.client, started, span, ended: false };
        app.metrics.active_requests.add(1, &this.active());
        this
    }

    /// It was answered.
    pub(super) fn answered(mut self, status: StatusCode) {
        self.end(status.as_u16(), "answered");
    }

    fn active(&self) -> [KeyValue; 2] {
        [
            KeyValue::new("http.request.method", self.method),
            KeyValue::new("url.scheme", self.scheme),
        ]
    }

    /// One access line and one measurement a request.
    fn end(&mut self, status: u16, outcome: &'static str) {
        self.ended = true;
        let took = self.started.elapsed();
        let [method, scheme] = self.active();
        self.app.metrics.active_requests.add(-1, &[method.clone(), scheme.clone()]);
        let mut attributes = Vec::with_capacity(5);
        attributes.extend([
            method,
            scheme,
            KeyValue::new("http.response.status_code", i64::from(status)),
        ]);
        attributes.extend(self.route.map(|route| KeyValue::new("http.route", route)));
        if let Some(error) = server_error(status) {
            attributes.push(KeyValue::new("error.type", error));
        }
        self.app.metrics.request_duration.record(took.as_secs_f64(), &attributes);
        let _entered = self.span.enter();
        tracing::info!(
            "http.response.status_code" = status,
            "client.address" = %self.client,
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            outcome,
            "request ended"
        );
    }
}

impl Drop for Access<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(CLIENT_CLOSED, "client_closed");
        }
    }
}

/// `error.type` of an answer that is our fault (OpenTelemetry's conventions: the status).
fn server_error(status: u16) -> Option<&'static str> {
    match status {
        500 => Some("500"),
        501 => Some("501"),
        502 => Some("502"),
        503 => Some("503"),
        504 => Some("504"),
        _ => None,
    }
}
