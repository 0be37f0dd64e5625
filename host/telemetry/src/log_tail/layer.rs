//! The layer of the log that delivers lines to the readers.

use super::{
    channel,
    fields::{AllFields, COMPONENT, ComponentField},
    has_readers,
};
use crate::log_format::printable_json;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber, span};
use tracing_subscriber::{
    fmt::{format::Writer, time::FormatTime, time::SystemTime},
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

/// Delivers the lines that the filter of the log lets through.
#[derive(Debug)]
pub(crate) struct Layer;

/// The data of a span that belongs to a component. It lives as long as the
/// span.
struct ComponentSpan {
    component: String,
    /// The fields of the span. They are empty if there was no reader when the
    /// span began.
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
        if has_readers() {
            attributes.record(&mut fields);
        }
        if let Some(component) = component.0 {
            span.extensions_mut().insert(ComponentSpan { component, fields: fields.0 });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !has_readers() {
            return;
        }
        let Some(channel) = component_of(event, &context).and_then(|component| channel(&component)) else { return };
        // The send fails if the last reader leaves at this moment.
        let _ = channel.send(line(event, component_span(event, &context).as_ref()).into());
    }
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
