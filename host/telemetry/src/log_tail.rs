//! The log lines of one component, as they happen, for whoever listens.
//!
//! [`Layer`] is part of the log of the process. While nobody listens it looks
//! at one counter and does nothing. Lines wait for a listener in a ring of
//! bounded length; one that is too slow skips what was overwritten, and is told
//! how much that was.

use parking_lot::RwLock;
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::broadcast::{self, error::RecvError};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    fmt::{format::Writer, time::FormatTime, time::SystemTime},
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

/// Lines that wait for the slowest listener of a component.
const WAITING_LINES: usize = 512;
/// The field that says whose line, or whose span, it is.
const COMPONENT: &str = "component";

static LISTENERS: AtomicUsize = AtomicUsize::new(0);
static CHANNELS: LazyLock<RwLock<HashMap<String, broadcast::Sender<Arc<str>>>>> = LazyLock::new(RwLock::default);

/// Listens to one component until it is dropped.
#[derive(Debug)]
pub struct Follower {
    component: String,
    lines: broadcast::Receiver<Arc<str>>,
}

/// What a listener is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A line of the log, an object in JSON.
    Line(Arc<str>),
    /// So many lines came faster than they were read.
    Lost(u64),
}

impl Follower {
    /// Hears what the component logs from now on, and its requests.
    pub fn of(component: &str) -> Self {
        let mut channels = CHANNELS.write();
        let sender = channels.entry(component.to_owned()).or_insert_with(|| broadcast::Sender::new(WAITING_LINES));
        LISTENERS.fetch_add(1, Ordering::Relaxed);
        Self { component: component.to_owned(), lines: sender.subscribe() }
    }

    /// Waits for the next line. None when there can be no more.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.lines.recv().await {
            Ok(line) => Some(Heard::Line(line)),
            Err(RecvError::Lagged(lines)) => Some(Heard::Lost(lines)),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut channels = CHANNELS.write();
        LISTENERS.fetch_sub(1, Ordering::Relaxed);
        // This one is still counted.
        if channels.get(&self.component).is_some_and(|sender| sender.receiver_count() <= 1) {
            channels.remove(&self.component);
        }
    }
}

/// Hands lines to listeners. It sees what the filter of the log lets through.
#[derive(Debug)]
pub(super) struct Layer;

/// What a span says of itself, kept while it is open.
struct Enclosing {
    component: String,
    /// Empty if nobody listened when the span began.
    fields: Map<String, Value>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Layer {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if attributes.metadata().fields().field(COMPONENT).is_none() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let (mut component, mut fields) = (Component(None), Fields::default());
        attributes.record(&mut component);
        if LISTENERS.load(Ordering::Relaxed) > 0 {
            attributes.record(&mut fields);
        }
        if let Some(component) = component.0 {
            span.extensions_mut().insert(Enclosing { component, fields: fields.0 });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if LISTENERS.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut component = Component(None);
        event.record(&mut component);
        let span = enclosing(event, &context);
        let listened = match (component.0, &span) {
            (Some(name), _) => channel(&name),
            (None, Some(span)) => span.extensions().get::<Enclosing>().and_then(|span| channel(&span.component)),
            (None, None) => None,
        };
        if let Some(channel) = listened {
            // Nobody is left when the last listener goes at this moment.
            let _ = channel.send(line(event, span.as_ref()).into());
        }
    }
}

fn channel(component: &str) -> Option<broadcast::Sender<Arc<str>>> {
    CHANNELS.read().get(component).cloned()
}

/// The innermost span that is a component's.
fn enclosing<'a, S: Subscriber + for<'s> LookupSpan<'s>>(
    event: &Event<'_>,
    context: &'a Context<'_, S>,
) -> Option<SpanRef<'a, S>> {
    context.event_scope(event)?.find(|span| span.extensions().get::<Enclosing>().is_some())
}

/// With the names of the log in JSON.
fn line<S: for<'a> LookupSpan<'a>>(event: &Event<'_>, span: Option<&SpanRef<'_, S>>) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let mut timestamp = String::new();
    if SystemTime.format_time(&mut Writer::new(&mut timestamp)).is_ok() {
        fields.0.insert("timestamp".to_owned(), timestamp.into());
    }
    fields.0.insert("level".to_owned(), event.metadata().level().as_str().into());
    fields.0.insert("target".to_owned(), event.metadata().target().into());
    if let Some(span) = span {
        let mut of_span = span.extensions().get::<Enclosing>().map(|span| span.fields.clone()).unwrap_or_default();
        of_span.insert("name".to_owned(), span.name().into());
        fields.0.insert("span".to_owned(), of_span.into());
    }
    Value::Object(fields.0).to_string()
}

/// Reads the component and nothing else.
struct Component(Option<String>);

impl Visit for Component {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == COMPONENT {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == COMPONENT {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

/// Reads everything.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

impl Heard {
    /// As it is sent: one line of JSON.
    pub fn to_json(&self) -> String {
        match self {
            Self::Line(line) => line.to_string(),
            Self::Lost(lines) => json!({ "lost_lines": lines }).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    fn logging<R>(work: impl FnOnce() -> R) -> R {
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Layer), work)
    }

    async fn heard(follower: &mut Follower) -> Value {
        match follower.next().await {
            Some(Heard::Line(line)) => serde_json::from_str(&line).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_listener_hears_its_component_alone_directly_and_through_spans() {
        let mut follower = Follower::of("heard");
        logging(|| {
            tracing::info!(component = "unheard", "first");
            tracing::info!("of nobody");
            tracing::info!(target: "request", component = "heard", status = 200, "second");
            let (heard, unheard) = ("heard".to_owned(), "unheard");
            tracing::info_span!("event", component = heard, attempt = 3).in_scope(|| {
                tracing::info_span!("inner").in_scope(|| tracing::warn!(?unheard, "third"));
                tracing::info!(component = "unheard", "not mine");
            });
            tracing::info!(component = %heard, "fourth");
        });
        let line = heard(&mut follower).await;
        assert_eq!(
            (&line["message"], &line["status"], &line["level"], &line["target"]),
            (&json!("second"), &json!(200), &json!("INFO"), &json!("request"))
        );
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
        let line = heard(&mut follower).await;
        assert_eq!(line["message"], "third");
        assert_eq!(line["span"], json!({ "name": "event", "component": "heard", "attempt": 3 }));
        assert_eq!(heard(&mut follower).await["message"], "fourth");
    }

    #[tokio::test]
    async fn one_that_is_too_slow_is_told_what_it_has_missed() {
        let mut follower = Follower::of("fast");
        logging(|| (0..WAITING_LINES + 7).for_each(|number| tracing::info!(component = "fast", number)));
        assert_eq!(follower.next().await, Some(Heard::Lost(7)));
        assert_eq!(heard(&mut follower).await["number"], 7);
    }

    #[test]
    fn nothing_is_kept_for_listeners_that_are_gone() {
        let (one, other) = (Follower::of("left"), Follower::of("left"));
        drop(one);
        assert!(channel("left").is_some());
        drop(other);
        assert!(channel("left").is_none());
    }
}
