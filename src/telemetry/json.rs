//! [`Json`]: the log for machines, with one JSON object on each line.
//!
//! The fields of a record and the fields of the spans around the record are all at the top level of
//! the object. `request_id`, `trace_id` and `span_id` are among these fields. If two fields have
//! the same name, the field of the record is used.

use std::fmt::Debug;
use std::ops::Range;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Record};
use tracing::{Event, Id, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::clock::{Clock, rfc3339};

/// Fields of a span that the log does not show. They control the trace of the span.
const HIDDEN: &[&str] = &["sampled"];

/// The fields at the beginning of a line. A field of a record cannot replace them.
const HEAD: &[&str] = &["timestamp", "level", "message", "target"];

/// The size of a usual line in bytes.
const LINE_BYTES: usize = 512;
/// The number of fields of a usual span or record, and their size in bytes.
const FIELDS: usize = 8;
const FIELDS_BYTES: usize = 256;

/// A layer that passes each record, as one line, to a function.
#[derive(Clone, Copy, Debug)]
pub struct Json<F>(pub F);

/// Fields as JSON. Each line of a request contains the fields of its span, so they are converted
/// once.
#[derive(Debug)]
struct Fields {
    /// The name of each field, and where its value begins and ends in `text`.
    places: Vec<(&'static str, Range<usize>)>,
    /// The fields: a comma, the name, a colon and the value.
    text: Vec<u8>,
}

impl<S, F> Layer<S> for Json<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Fn(Vec<u8>) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
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
        let mut own = Fields::new();
        event.record(&mut own);
        let metadata = event.metadata();
        let mut line = begin(metadata.level().as_str(), metadata.target(), own.get("message"));
        own.append(&mut line, &[]);
        // A field of an inner span hides the field of the same name of an outer span.
        let mut names: Vec<&str> = own.names().collect();
        for span in context.event_scope(event).into_iter().flat_map(Scope::into_iter) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                fields.append(&mut line, &names);
                names.extend(fields.names());
            }
        }
        line.extend_from_slice(b"}\n");
        (self.0)(line);
    }
}

/// A line with these fields.
pub(super) fn line(
    level: &str,
    target: &str,
    message: &str,
    fields: &Map<String, Value>,
) -> Vec<u8> {
    let mut text = Vec::new();
    push(&mut text, message);
    let mut line = begin(level, target, Some(&text));
    for (name, value) in fields {
        push_field(&mut line, name, |line| push(line, value));
    }
    line.extend_from_slice(b"}\n");
    line
}

/// The beginning of a line. `message` is JSON.
fn begin(level: &str, target: &str, message: Option<&[u8]>) -> Vec<u8> {
    let mut line = Vec::with_capacity(LINE_BYTES);
    line.extend_from_slice(b"{\"timestamp\":");
    push(&mut line, rfc3339(Clock::System.now()));
    push_field(&mut line, "level", |line| push(line, level));
    push_field(&mut line, "message", |line| line.extend_from_slice(message.unwrap_or(b"null")));
    push_field(&mut line, "target", |line| push(line, target));
    line
}

fn push_field(line: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    line.push(b',');
    push(line, name);
    line.push(b':');
    value(line);
}

/// Appends a value as JSON. This cannot fail, because the line is in memory and every value is a
/// text, a number or a boolean.
fn push(line: &mut Vec<u8>, value: impl Serialize) {
    let _ = serde_json::to_writer(line, &value);
}

impl Fields {
    fn new() -> Self {
        Self { places: Vec::with_capacity(FIELDS), text: Vec::with_capacity(FIELDS_BYTES) }
    }

    /// Sets a field. A later value of the same field counts.
    fn set(&mut self, name: &'static str, value: impl Serialize) {
        if HIDDEN.contains(&name) {
            return;
        }
        let mut begin = 0;
        push_field(&mut self.text, name, |text| {
            begin = text.len();
            push(text, value);
        });
        self.places.push((name, begin..self.text.len()));
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.places.iter().map(|(name, _)| *name)
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        let (_, place) = self.places.iter().rfind(|(known, _)| *known == name)?;
        Some(&self.text[place.clone()])
    }

    /// Appends the fields to a line, without the fields that are in `hidden`.
    fn append(&self, line: &mut Vec<u8>, hidden: &[&str]) {
        let mut begin = 0;
        for (at, (name, place)) in self.places.iter().enumerate() {
            let field = &self.text[begin..place.end];
            begin = place.end;
            let is_set_again = self.places[at + 1..].iter().any(|(later, _)| later == name);
            if !is_set_again && !hidden.contains(name) && !HEAD.contains(name) {
                line.extend_from_slice(field);
            }
        }
    }
}

/// The `Debug` text of a value.
struct Shown<'a>(&'a dyn Debug);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field.name(), Shown(value));
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
        let layer = Json(move |line: Vec<u8>| {
            out.lock().unwrap().push_str(std::str::from_utf8(&line).unwrap());
        });
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
