//! Spans. A span is created when it ends, from values that are known then, and only if it is
//! exported. In a daemon that exports no spans, a request only reads one pointer.
//!
//! There is no bridge from the spans of `tracing`, for two reasons. It would export every field
//! that a library puts into a span. And every span would cost time, even a span that is not kept. A
//! span of this module contains only what its callers pass.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::export::Export;
use super::ids;
use super::metrics::SCOPE;
use super::observed::Signal;
use crate::clock::Clock;
use crate::config::telemetry::Sampler;
use crate::secret::random_bytes;

/// The destination of spans. It is global, like the log, because spans are created deep in the
/// stores and in callbacks of libraries.
static TRACES: OnceLock<Traces> = OnceLock::new();

/// The settings and the queue of spans.
#[derive(Debug)]
pub(super) struct Traces {
    pub(super) export: Export<SpanData>,
    sampler: Sampler,
    propagates: bool,
}

impl Traces {
    fn put(&self, span: SpanData) {
        let bytes = size_of::<SpanData>() + size_of_val(&span.attributes[..]);
        self.export.put(span, bytes);
    }
}

/// Exports spans from now on. Only the first call in a process has an effect.
pub(super) fn start(sampler: Sampler, propagates: bool) -> Option<&'static Traces> {
    let traces = Traces { export: Export::new(Signal::Traces), sampler, propagates };
    TRACES.set(traces).ok().and_then(|()| TRACES.get())
}

/// A `traceparent` of version 00 (W3C Trace Context §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traceparent {
    /// The trace id: 32 hexadecimal digits, not all zero.
    pub trace_id: String,
    /// The span id: 16 hexadecimal digits, not all zero.
    pub span_id: String,
    /// Whether the caller records the trace.
    pub sampled: bool,
}

impl Traceparent {
    /// Parses a `traceparent`. `None` for any other text, including a later version.
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hexadecimal = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let sound = version == "00"
            && parts.next().is_none()
            && hexadecimal(trace, 32)
            && hexadecimal(span, 16)
            && hexadecimal(flags, 2)
            && trace.bytes().any(|b| b != b'0')
            && span.bytes().any(|b| b != b'0');
        let sampled = sound && u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        sound.then(|| Self { trace_id: trace.to_owned(), span_id: span.to_owned(), sampled })
    }

    fn context(&self) -> Option<SpanContext> {
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let trace_id = TraceId::from_hex(&self.trace_id).ok()?;
        let span_id = SpanId::from_hex(&self.span_id).ok()?;
        Some(SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE))
    }
}

/// Whether the trace of a trusted caller is continued (`OTEL_PROPAGATORS`).
pub fn propagates() -> bool {
    TRACES.get().is_none_or(|traces| traces.propagates)
}

/// Whether this trace is kept. `parent` is the decision of its caller. Without an exporter, the
/// caller's decision is passed on.
pub fn samples(trace_id: &str, parent: Option<bool>) -> bool {
    match TRACES.get() {
        Some(traces) => keeps(traces.sampler, trace_id, parent),
        None => parent.unwrap_or(false),
    }
}

/// The decision of the parent, if the sampler uses it. Otherwise the last 56 bits of the trace id
/// decide, so that all services with the same ratio keep the same traces.
fn keeps(sampler: Sampler, trace_id: &str, parent: Option<bool>) -> bool {
    if let (true, Some(parent)) = (sampler.asks_parent, parent) {
        return parent;
    }
    let low = trace_id.get(18..).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    // A float holds 56 bits exactly, except for the last three.
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more")]
    low.is_some_and(|low| (low as f64) < sampler.ratio * 72_057_594_037_927_936.0)
}

/// The content of a span, apart from its ids and its parent.
#[derive(Debug)]
pub struct SpanAttributes {
    /// The name, from a closed set. It contains no path and no key.
    pub name: Cow<'static, str>,
    /// How long the operation took, up to now.
    pub took: Duration,
    /// Further attributes. They never contain a secret, an address or the text of a statement.
    pub attributes: Vec<KeyValue>,
    /// Whether the operation failed for a reason other than a mistake of the client.
    pub failed: bool,
}

/// The position of a server span in its trace.
#[derive(Clone, Debug)]
pub struct Place {
    pub ids: ids::Ids,
    /// The caller's span, if the caller is trusted. It becomes the parent of the server span.
    pub parent: Option<Traceparent>,
    /// The caller's span, if the caller is not trusted. The server span only links to it.
    pub link: Option<Traceparent>,
}

/// Records the span of a request that has its response.
pub fn server(place: &Place, said: impl FnOnce() -> SpanAttributes) {
    let Some(traces) = TRACES.get().filter(|_| place.ids.sampled) else { return };
    let Some(context) = place.ids.context() else { return };
    let parent = place.parent.as_ref().and_then(Traceparent::context);
    let links = place.link.as_ref().and_then(Traceparent::context);
    traces.put(span(SpanKind::Server, context, parent.as_ref(), links, said()));
}

/// Records the span of a call to another service, as part of the current request. Does nothing
/// outside a request.
pub fn client(said: impl FnOnce() -> SpanAttributes) {
    let Some(traces) = TRACES.get() else { return };
    let Some(parent) = ids::current().filter(|ids| ids.sampled).and_then(|ids| ids.context())
    else {
        return;
    };
    let context = kept(parent.trace_id());
    traces.put(span(SpanKind::Client, context, Some(&parent), None, said()));
}

/// Records the span of work that follows from a request long after it. The span starts its own
/// trace and links to the request's span.
pub fn linked(traceparent: &str, said: impl FnOnce() -> SpanAttributes) {
    let Some(traces) = TRACES.get() else { return };
    let trace_id = TraceId::from_bytes(random_bytes::<16>());
    if !keeps(traces.sampler, &trace_id.to_string(), None) {
        return;
    }
    let link = Traceparent::parse(traceparent).and_then(|it| it.context());
    traces.put(span(SpanKind::Consumer, kept(trace_id), None, link, said()));
}

fn kept(trace_id: TraceId) -> SpanContext {
    let span_id = SpanId::from_bytes(random_bytes::<8>());
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE)
}

fn span(
    span_kind: SpanKind,
    span_context: SpanContext,
    parent: Option<&SpanContext>,
    link: Option<SpanContext>,
    said: SpanAttributes,
) -> SpanData {
    let end_time = Clock::system_time();
    let mut links = SpanLinks::default();
    links.links.extend(link.map(Link::with_context));
    SpanData {
        parent_span_id: parent.map_or(SpanId::INVALID, SpanContext::span_id),
        parent_span_is_remote: parent.is_some_and(SpanContext::is_remote),
        span_context,
        span_kind,
        name: said.name,
        start_time: end_time.checked_sub(said.took).unwrap_or(end_time),
        end_time,
        attributes: said.attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        // No description: it would contain the text of an error.
        status: if said.failed { Status::error("") } else { Status::Unset },
        instrumentation_scope: InstrumentationScope::builder(SCOPE).build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn the_ratio_decides_by_the_trace_and_the_parent_before_it_where_it_is_asked() {
        let sampler = |ratio, asks_parent| Sampler { ratio, asks_parent };
        assert!(keeps(sampler(1.0, true), TRACE, None));
        assert!(!keeps(sampler(0.0, true), TRACE, None));
        assert!(keeps(sampler(0.0, true), TRACE, Some(true)));
        assert!(!keeps(sampler(1.0, true), TRACE, Some(false)));
        assert!(keeps(sampler(1.0, false), TRACE, Some(false)));
        let ids =
            (0..10_000_u64).map(|n| format!("{:032x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let kept = ids.filter(|id| keeps(sampler(0.25, true), id, None)).count();
        assert!((2_300..2_700).contains(&kept), "{kept}");
    }

    #[test]
    fn the_callers_decision_is_read() {
        let parent =
            |flags: &str| Traceparent::parse(&format!("00-{TRACE}-00f067aa0ba902b7-{flags}"));
        assert!(parent("01").unwrap().sampled && parent("03").unwrap().sampled);
        assert!(!parent("00").unwrap().sampled);
        assert_eq!(parent("0"), None);
    }
}
