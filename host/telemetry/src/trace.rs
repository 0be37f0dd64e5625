//! Where in a trace a piece of work is, and its span when a collector is told.
//!
//! Every request, event and timer has a place in a trace whether or not
//! anybody records it. With a collector ([`super::otlp`]) each is a span as
//! well: a child of what caused it, however long ago and on whichever host.

use opentelemetry::{
    Context, Value,
    trace::{
        Span, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
        Tracer,
    },
};
use opentelemetry_sdk::trace::SdkTracer;
use std::{
    fmt,
    str::FromStr,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

/// Set when spans are recorded; there can be but one in a process.
pub(super) static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// A place in a trace: the `traceparent` header of
/// <https://www.w3.org/TR/trace-context/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
}

/// The text is not a `traceparent`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct NotATraceParent;

/// A piece of work in a trace, from now until it is dropped.
pub struct Step {
    place: TraceParent,
    span: Option<Box<opentelemetry_sdk::trace::Span>>,
}

/// What kind of work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// A request is answered.
    Serve,
    /// An event is handed to the bus.
    Publish,
    /// An event is handled.
    Consume,
    /// Work that nothing outside waits for, such as a timer's.
    Internal,
    /// Something else does a part: a database, a provider, another host.
    Call,
}

impl Step {
    /// Begins the next step of the trace that the header names, or the first
    /// of one if it names none that makes sense.
    pub fn begin(kind: StepKind, traceparent: Option<&str>, name: impl FnOnce() -> String) -> Self {
        let parent = traceparent.and_then(|text| text.parse::<TraceParent>().ok());
        let Some(tracer) = TRACER.get() else {
            return Self { place: parent.map_or_else(TraceParent::root, |parent| parent.child()), span: None };
        };
        Self::record(tracer, kind, parent, tracer.span_builder(name()))
    }

    /// The same for a step that began at this time, in milliseconds since the
    /// Unix epoch. None when nobody records it.
    pub fn begun(kind: StepKind, traceparent: Option<&str>, ms: u64, name: impl FnOnce() -> String) -> Option<Self> {
        let tracer = TRACER.get()?;
        let parent = traceparent.and_then(|text| text.parse::<TraceParent>().ok());
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        let builder = tracer.span_builder(name()).with_start_time(since.min(SystemTime::now()));
        Some(Self::record(tracer, kind, parent, builder)).filter(|step| step.span.is_some())
    }

    /// A part of the step that the header names, which something else does.
    /// None when nobody records that step.
    pub fn call(traceparent: Option<&str>, name: impl FnOnce() -> String) -> Option<Self> {
        let tracer = TRACER.get()?;
        let parent = traceparent?.parse().ok().filter(TraceParent::is_recorded)?;
        let step = Self::record(tracer, StepKind::Call, Some(parent), tracer.span_builder(name()));
        Some(step).filter(|step| step.span.is_some())
    }

    fn record(tracer: &SdkTracer, kind: StepKind, parent: Option<TraceParent>, builder: SpanBuilder) -> Self {
        let kind = match kind {
            StepKind::Serve => SpanKind::Server,
            StepKind::Publish => SpanKind::Producer,
            StepKind::Consume => SpanKind::Consumer,
            StepKind::Internal => SpanKind::Internal,
            StepKind::Call => SpanKind::Client,
        };
        let context = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent.into()),
            None => Context::new(),
        };
        let span = tracer.build_with_context(builder.with_kind(kind), &context);
        Self { place: span.span_context().into(), span: span.is_recording().then(|| Box::new(span)) }
    }

    /// Where it is, for what it causes.
    pub fn place(&self) -> &TraceParent {
        &self.place
    }

    /// The header for what it causes, if somebody records this step; else
    /// that of its own cause will do.
    pub fn recorded(&self) -> Option<String> {
        self.span.is_some().then(|| self.place.to_string())
    }

    /// Says more about it, if somebody records it.
    pub fn say<const N: usize>(&mut self, attributes: impl FnOnce() -> [(&'static str, Value); N]) {
        if let Some(span) = &mut self.span {
            for (name, value) in attributes() {
                span.set_attribute(opentelemetry::KeyValue::new(name, value));
            }
        }
    }

    /// It did not end well, in a way that has this name (`error.type`).
    pub fn fail_as(&mut self, kind: &'static str) {
        self.say(|| [("error.type", kind.into())]);
        self.fail(|| kind.to_owned());
    }

    /// It did not end well.
    pub fn fail(&mut self, reason: impl FnOnce() -> String) {
        if let Some(span) = &mut self.span {
            span.set_status(Status::error(reason()));
        }
    }
}

impl TraceParent {
    const SAMPLED: u8 = 1;

    /// The beginning of a trace.
    pub fn root() -> Self {
        // An identifier of zeros is none. Odd is never zero.
        let mut trace_id: [u8; 16] = rand::random();
        trace_id[15] |= 1;
        Self { trace_id, parent_id: new_parent_id(), flags: Self::SAMPLED }
    }

    /// Whether whoever began the trace wants it to be recorded.
    fn is_recorded(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }

    /// The next step of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { parent_id: new_parent_id(), ..*self }
    }

    /// The trace's identifier, in hexadecimal.
    pub fn trace_id(&self) -> impl fmt::Display + use<> {
        let trace_id = u128::from_be_bytes(self.trace_id);
        fmt::from_fn(move |formatter| write!(formatter, "{trace_id:032x}"))
    }
}

fn new_parent_id() -> [u8; 8] {
    (rand::random::<u64>() | 1).to_be_bytes()
}

impl From<TraceParent> for SpanContext {
    fn from(place: TraceParent) -> Self {
        let (trace, parent) = (TraceId::from_bytes(place.trace_id), SpanId::from_bytes(place.parent_id));
        Self::new(trace, parent, TraceFlags::new(place.flags), true, TraceState::NONE)
    }
}

impl From<&SpanContext> for TraceParent {
    fn from(context: &SpanContext) -> Self {
        Self {
            trace_id: context.trace_id().to_bytes(),
            parent_id: context.span_id().to_bytes(),
            flags: context.trace_flags().to_u8() & Self::SAMPLED,
        }
    }
}

impl FromStr for TraceParent {
    type Err = NotATraceParent;

    fn from_str(text: &str) -> Result<Self, NotATraceParent> {
        let mut parts = text.split('-');
        let mut part = || parts.next().ok_or(NotATraceParent);
        let version: [u8; 1] = lower_hex(part()?)?;
        let trace_id = lower_hex(part()?)?;
        let parent_id = lower_hex(part()?)?;
        let [flags] = lower_hex(part()?)?;
        // A later version may say more, the first one must not.
        let is_known = match version {
            [0] => parts.next().is_none(),
            [version] => version != 0xff,
        };
        if !is_known || trace_id == [0; 16] || parent_id == [0; 8] {
            return Err(NotATraceParent);
        }
        Ok(Self { trace_id, parent_id, flags: flags & Self::SAMPLED })
    }
}

fn lower_hex<const N: usize>(text: &str) -> Result<[u8; N], NotATraceParent> {
    let mut bytes = [0; N];
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) if is_lower => Ok(bytes),
        _ => Err(NotATraceParent),
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace_id, parent_id) = (u128::from_be_bytes(self.trace_id), u64::from_be_bytes(self.parent_id));
        write!(formatter, "00-{trace_id:032x}-{parent_id:016x}-{:02x}", self.flags)
    }
}

#[cfg(test)]
mod tests;
