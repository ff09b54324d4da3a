//! [`Json`]: the log for machines, with one JSON object on each line.
//!
//! The fields of a record and the fields of the spans around the record are all at the top level of
//! the object. `request_id`, `trace_id` and `span_id` are among these fields. If two fields have
//! the same name, the field of the record is used.

use std::fmt::Debug;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Record};
use tracing::{Event, Id, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::{Clock, rfc3339};

/// Fields of a span that the log does not show. They control the trace of the span.
const HIDDEN: &[&str] = &["sampled"];

/// A layer that passes each record, as one line, to a function.
#[derive(Clone, Copy, Debug)]
pub struct Json<F>(pub F);

#[derive(Default)]
struct Fields(Map<String, Value>);

impl<S, F> Layer<S> for Json<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Fn(String) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut all = Fields::default();
        let scope = context.event_scope(event).into_iter();
        for span in scope.flat_map(tracing_subscriber::registry::Scope::from_root) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                all.0.extend(fields.0.clone());
            }
        }
        event.record(&mut all);
        let (metadata, message) = (event.metadata(), all.0.remove("message").unwrap_or_default());
        (self.0)(line(metadata.level().as_str(), metadata.target(), message, &all.0));
    }
}

/// A line: timestamp, level, message and target first, then the other fields by name.
pub(super) fn line(
    level: &str,
    target: &str,
    message: Value,
    fields: &Map<String, Value>,
) -> String {
    let head: [(&str, Value); 4] = [
        ("timestamp", rfc3339(Clock::System.now()).into()),
        ("level", level.into()),
        ("message", message),
        ("target", target.into()),
    ];
    let mut line = String::with_capacity(256);
    let rest = fields.iter().filter(|(key, _)| head.iter().all(|(known, _)| known != key));
    for (key, value) in head
        .iter()
        .map(|(key, value)| (*key, value))
        .chain(rest.map(|(key, value)| (key.as_str(), value)))
    {
        line.push(if line.is_empty() { '{' } else { ',' });
        line.push_str(&Value::from(key).to_string());
        line.push(':');
        line.push_str(&value.to_string());
    }
    line.push_str("}\n");
    line
}

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        if !HIDDEN.contains(&field.name()) {
            self.0.insert(field.name().to_owned(), value.into());
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn logged(work: impl FnOnce()) -> Vec<Value> {
        let text = Arc::new(Mutex::new(String::new()));
        let out = text.clone();
        let layer = Json(move |line: String| out.lock().unwrap().push_str(&line));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, work);
        text.lock().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_record_is_one_flat_object_with_the_fields_of_its_spans() {
        let lines = logged(|| {
            let span =
                tracing::info_span!("request", request_id = "r", trace_id = "t", sampled = true);
            let _entered = span.enter();
            tracing::warn!(status = 503_u16, "with \"quotes\"\nand a line");
        });
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert_eq!(
            (line["request_id"].as_str(), line["trace_id"].as_str()),
            (Some("r"), Some("t"))
        );
        assert_eq!((line["level"].as_str(), line["status"].as_u64()), (Some("WARN"), Some(503)));
        assert_eq!(line["message"], "with \"quotes\"\nand a line");
        assert!(line.get("sampled").is_none() && line.get("span").is_none(), "{line}");
        assert!(line["timestamp"].as_str().is_some_and(|it| it.ends_with('Z')), "{line}");
    }

    #[test]
    fn a_records_own_field_wins_over_its_spans() {
        let lines = logged(|| {
            let _outer = tracing::info_span!("outer", kind = "outer", depth = 1).entered();
            let _inner = tracing::info_span!("inner", kind = "inner").entered();
            tracing::info!(kind = "own", "x");
            tracing::info!("y");
        });
        assert_eq!((&lines[0]["kind"], &lines[1]["kind"]), (&"own".into(), &"inner".into()));
        assert_eq!(lines[1]["depth"], 1);
    }
}
