//! [`Ids`]: the request and the trace that the current code belongs to.
//!
//! The span `request` carries the ids, and a pool passes this span on with a job. So every log
//! record and every database span is connected with its trace.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use tracing::field::{Field, Visit};
use tracing::span::Attributes;
use tracing::{Id, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// The name of the span that carries [`Ids`].
pub const SPAN: &str = "request";

/// The ids of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// The id in `X-Request-Id`.
    pub request_id: String,
    /// The trace id: 32 hexadecimal digits.
    pub trace_id: String,
    /// The id of the server span: 16 hexadecimal digits.
    pub span_id: String,
    /// Whether the trace is kept.
    pub sampled: bool,
}

impl Ids {
    /// The ids as a type of OpenTelemetry. `None` if one of them is malformed.
    pub fn context(&self) -> Option<SpanContext> {
        let trace_id = TraceId::from_hex(&self.trace_id).ok()?;
        let span_id = SpanId::from_hex(&self.span_id).ok()?;
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let context = SpanContext::new(trace_id, span_id, flags, false, TraceState::NONE);
        context.is_valid().then_some(context)
    }
}

/// The ids of the current request. `None` outside a request, and if no log was started.
pub fn current() -> Option<Ids> {
    let span = tracing::Span::current();
    let found = span.with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let span = registry.span(id)?;
        span.scope().find_map(|span| span.extensions().get::<Ids>().cloned())
    });
    found.flatten()
}

/// A layer that stores the ids with their span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identify;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Identify {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != SPAN {
            return;
        }
        let mut ids = Ids::default();
        attributes.record(&mut ids);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(ids);
        }
    }
}

impl Visit for Ids {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "request_id" => value.clone_into(&mut self.request_id),
            "trace_id" => value.clone_into(&mut self.trace_id),
            "span_id" => value.clone_into(&mut self.span_id),
            _ => {}
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "sampled" {
            self.sampled = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn whatever_happens_in_a_request_knows_its_trace() {
        let subscriber = tracing_subscriber::registry().with(Identify);
        tracing::subscriber::with_default(subscriber, || {
            assert_eq!(current(), None);
            let span = tracing::info_span!(
                "request",
                request_id = "r",
                trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                span_id = "00f067aa0ba902b7",
                sampled = true
            );
            let _request = span.enter();
            let _inner = tracing::info_span!("inner", trace_id = "another").entered();
            let ids = current().unwrap();
            assert_eq!(ids.request_id, "r");
            let context = ids.context().unwrap();
            assert!(context.is_sampled());
            assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        });
    }
}
