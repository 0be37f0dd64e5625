//! The layer of the log that keeps lines and delivers them to the readers.

use super::{
    add,
    fields::{AllFields, COMPONENT, ComponentField},
    has_readers, is_read,
};
use crate::log_format::printable_json;
use serde_json::{Map, Value};
use tracing::{Event, Level, Metadata, Subscriber, span};
use tracing_subscriber::{
    fmt::{format::Writer, time::FormatTime, time::SystemTime},
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

/// The target of the lines about requests.
const REQUEST: &str = "request";

/// Keeps and delivers the lines that the filter of the log lets through.
#[derive(Debug)]
pub(crate) struct Layer;

/// The data of a span that belongs to a component. It lives as long as the
/// span.
struct ComponentSpan {
    component: String,
    fields: Map<String, Value>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Layer {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if attributes.metadata().fields().field(COMPONENT).is_none() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let (mut component, mut fields) = (ComponentField::default(), AllFields::default());
        attributes.record(&mut component);
        attributes.record(&mut fields);
        if let Some(component) = component.0 {
            span.extensions_mut().insert(ComponentSpan { component, fields: fields.0 });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let is_kept = is_kept(event.metadata());
        if !is_kept && !has_readers() {
            return;
        }
        let Some(component) = component_of(event, &context).filter(|component| is_kept || is_read(component)) else {
            return;
        };
        add(&component, line(event, component_span(event, &context).as_ref()).into(), is_kept);
    }
}

/// Requests that went well are so many that they would leave no room for other lines.
fn is_kept(line: &Metadata<'_>) -> bool {
    line.target() != REQUEST || *line.level() < Level::INFO
}

/// The component that the event names, or else the innermost span around it that
/// names one.
pub(crate) fn component_of<S: Subscriber + for<'a> LookupSpan<'a>>(
    event: &Event<'_>,
    context: &Context<'_, S>,
) -> Option<String> {
    if event.metadata().fields().field(COMPONENT).is_some() {
        let mut component = ComponentField::default();
        event.record(&mut component);
        if component.0.is_some() {
            return component.0;
        }
    }
    let span = component_span(event, context)?;
    span.extensions().get::<ComponentSpan>().map(|span| span.component.clone())
}

/// The innermost span around the event that belongs to a component.
fn component_span<'a, S: Subscriber + for<'s> LookupSpan<'s>>(
    event: &Event<'_>,
    context: &'a Context<'_, S>,
) -> Option<SpanRef<'a, S>> {
    context.event_scope(event)?.find(|span| span.extensions().get::<ComponentSpan>().is_some())
}

/// The event as a JSON object. The keys are those of the log's JSON format.
fn line<S: for<'a> LookupSpan<'a>>(event: &Event<'_>, span: Option<&SpanRef<'_, S>>) -> String {
    let mut fields = AllFields::default();
    event.record(&mut fields);
    let mut fields = fields.0;
    let mut timestamp = String::new();
    if SystemTime.format_time(&mut Writer::new(&mut timestamp)).is_ok() {
        fields.insert("timestamp".to_owned(), timestamp.into());
    }
    fields.insert("level".to_owned(), event.metadata().level().as_str().into());
    fields.insert("target".to_owned(), event.metadata().target().into());
    if let Some(span) = span {
        let mut span_fields =
            span.extensions().get::<ComponentSpan>().map(|span| span.fields.clone()).unwrap_or_default();
        span_fields.insert("name".to_owned(), span.name().into());
        fields.insert("span".to_owned(), span_fields.into());
    }
    printable_json(&Value::Object(fields).to_string())
}
