use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use mainstay::trace::TraceContext;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::queue::Queue;
use super::span::{ATTRIBUTES_MAX, Finished, Ids, TEXT_MAX, Value};

/// Records spans that are over into a queue.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    pub(super) queue: Arc<Queue>,
}

/// Whether it is one of our own spans: what others put into theirs is not known.
pub(super) fn is_ours(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let target = target.split("::").next().unwrap_or(target);
    let ours = matches!(
        target,
        "mainstay" | "mainstay_server" | "mainstay_store" | "chittyid_client" | "chittyid_server"
    );
    ours && metadata.is_span() && *metadata.level() <= Level::DEBUG
}

/// What is known of a span that is not over.
enum Open {
    /// Its trace is not sampled.
    Unseen,
    Seen(Box<Seen>),
}

struct Seen {
    ids: Ids,
    kind: &'static str,
    began: SystemTime,
    clock: Instant,
    fields: Fields,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        // None: there is no span around it.
        let around = span.scope().skip(1).find_map(|outer| {
            let extensions = outer.extensions();
            extensions.get::<Open>().map(|open| match open {
                Open::Unseen => None,
                Open::Seen(seen) => Some(seen.ids),
            })
        });
        let open = match fields.ids.place(around) {
            Some(ids) => Open::Seen(Box::new(Seen {
                ids,
                kind: attributes.metadata().name(),
                began: SystemTime::now(),
                clock: Instant::now(),
                fields,
            })),
            None => Open::Unseen,
        };
        // Should there be two such layers, the inner one has it.
        drop(span.extensions_mut().replace(open));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(Open::Seen(seen)) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut seen.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Open::Seen(seen)) = span.extensions_mut().remove::<Open>() else { return };
        let Seen { ids, kind, began, clock, fields } = *seen;
        // By the clock that nobody sets.
        let ended = began + clock.elapsed();
        let Fields { all: attributes, left_out, .. } = fields;
        self.queue.push(Finished { ids, kind, began, ended, attributes, left_out });
    }
}

/// What a span says of its place.
#[derive(Default)]
struct Named {
    trace: Option<u128>,
    span: Option<u64>,
    parent: Option<u64>,
    sampled: Option<bool>,
}

impl Named {
    /// Where the span stands, if its trace is sampled. `around` is the span around it, if there is
    /// one, and whether that is seen.
    fn place(&self, around: Option<Option<Ids>>) -> Option<Ids> {
        if let (Some(trace), Some(span)) = (self.trace, self.span) {
            let outer = around.flatten().map(|ids| ids.span);
            let is_remote = self.parent.is_some() && self.parent != outer;
            let ids = Ids { trace, span, parent: self.parent, is_remote };
            return self.sampled.unwrap_or(true).then_some(ids);
        }
        let own = TraceContext::root().parent();
        let span = number(&own.parent_id())?;
        match around {
            Some(outer) => {
                let outer = outer?;
                Some(Ids { span, parent: Some(outer.span), is_remote: false, ..outer })
            }
            None => {
                let trace = u128::from_str_radix(&own.trace_id(), 16).ok()?;
                own.is_sampled().then_some(Ids { trace, span, parent: None, is_remote: false })
            }
        }
    }
}

fn number(hex: &str) -> Option<u64> {
    u64::from_str_radix(hex, 16).ok()
}

/// The fields of a span.
#[derive(Default)]
struct Fields {
    ids: Named,
    all: Vec<(&'static str, Value)>,
    left_out: u32,
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        let key = field.name();
        if let Some((_, known)) = self.all.iter_mut().find(|(known, _)| *known == key) {
            *known = value;
        } else if self.all.len() < ATTRIBUTES_MAX {
            self.all.push((key, value));
        } else {
            self.left_out += 1;
        }
    }

    fn set_text(&mut self, field: &Field, text: &str) {
        match field.name() {
            "trace_id" => self.ids.trace = u128::from_str_radix(text, 16).ok(),
            "span_id" => self.ids.span = number(text),
            "parent_id" => self.ids.parent = number(text),
            _ => {
                let fits = |end: &usize| text.is_char_boundary(*end);
                let end = (0..=text.len().min(TEXT_MAX)).rev().find(fits).unwrap_or(0);
                self.set(field, Value::Text(text[..end].to_owned()));
            }
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set_text(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "sampled" {
            self.ids.sampled = Some(value);
        } else {
            self.set(field, Value::Truth(value));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Value::Whole(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Value::Whole(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Value::Number(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set_text(field, &format!("{value:?}"));
    }
}
