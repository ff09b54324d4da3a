//! [`Access`] records one HTTP request for operators. Until the request ends, it is counted as a
//! request in progress. At its end, with or without a response, [`Access`] writes one measurement
//! and one log line.

use std::net::IpAddr;
use std::time::Duration;

use hyper::{StatusCode, Version};
use opentelemetry::KeyValue;
use tokio::time::Instant;

use super::cx::{Cx, Transport};
use crate::app::App;
use crate::telemetry::trace::{self, Place, SpanAttributes};

/// The status that logs and metrics contain if the client closed the connection before the response
/// was ready. nginx uses the same number. No standard defines it.
const CLIENT_CLOSED: u16 = 499;

/// The record of a request in progress. If the record is dropped before there is a response, the
/// client has closed the connection, because hyper drops the future of a request together with its
/// connection.
pub(super) struct Access<'a> {
    app: &'a App,
    method: &'static str,
    /// The template of the route, or none if no route matches.
    route: Option<&'static str>,
    scheme: &'static str,
    client: IpAddr,
    started: Instant,
    pub(super) span: tracing::Span,
    /// The position of the request's span in its trace, or none if the trace is not sampled.
    place: Option<Place>,
    version: &'static str,
    ended: bool,
}

impl<'a> Access<'a> {
    /// Begins the record of a request after its head was read.
    pub(super) fn begin(
        app: &'a App,
        cx: &Cx,
        (method, route, version): (&'static str, Option<&'static str>, Version),
        started: Instant,
        span: tracing::Span,
    ) -> Self {
        let version = if version == Version::HTTP_2 { "2" } else { "1.1" };
        let scheme = if cx.transport == Transport::Tls { "https" } else { "http" };
        let this = Self {
            app,
            method,
            route,
            scheme,
            client: cx.client,
            started,
            span,
            place: cx.sampled.then(|| cx.place()),
            version,
            ended: false,
        };
        app.metrics.active_requests.add(1, &this.active());
        this
    }

    /// Ends the record of a request that got a response.
    pub(super) fn answered(mut self, status: StatusCode) {
        self.end(status.as_u16(), "answered");
    }

    fn active(&self) -> [KeyValue; 2] {
        [
            KeyValue::new("http.request.method", self.method),
            KeyValue::new("url.scheme", self.scheme),
        ]
    }

    /// Writes one log line and one measurement for each request.
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
        if let Some(place) = &self.place {
            trace::server(place, || self.said(attributes, status, took));
        }
        let _entered = self.span.enter();
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            "http.response.status_code" = status,
            "client.address" = %self.client,
            duration_ms,
            outcome,
            "{}",
            if status == CLIENT_CLOSED { "the client left" } else { "request answered" }
        );
    }
}

impl Access<'_> {
    /// The attributes of the span. The span has all attributes of the metric and some more.
    fn said(&self, mut attributes: Vec<KeyValue>, status: u16, took: Duration) -> SpanAttributes {
        attributes.push(KeyValue::new("network.protocol.version", self.version));
        // A path may contain a token or an email address, so the span contains the route's template
        // instead.
        attributes.extend(self.route.map(|route| KeyValue::new("url.path", route)));
        let request_id = self.place.as_ref().map(|place| place.ids.request_id.clone());
        attributes.extend(request_id.map(|id| KeyValue::new("latchkey.request_id", id)));
        let name = match self.route {
            Some(route) => format!("{} {route}", self.method).into(),
            None => self.method.into(),
        };
        SpanAttributes { name, took, attributes, failed: status >= 500 }
    }
}

impl Drop for Access<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(CLIENT_CLOSED, "client_closed");
        }
    }
}

/// The value of `error.type` for a response with a server error. As in OpenTelemetry's conventions,
/// the value is the status.
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
