//! The position of an operation in a trace, and its span.
//!
//! Every request, event and timer has a position in a trace, also when nothing
//! records the trace. When a collector is configured ([`super::otlp`]), the
//! operation is recorded as a span too. The span's parent is the operation that
//! caused it, also when that one ended long ago or ran on another host.

use opentelemetry::{
    Context, KeyValue, Value,
    propagation::{Extractor, TextMapPropagator},
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    },
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{IdGenerator, RandomIdGenerator, SdkTracer, Span as SdkSpan},
};
use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

/// The tracer of the process. It is set when spans are recorded.
pub(super) static TRACER: OnceLock<SdkTracer> = OnceLock::new();

const TRACEPARENT: &str = "traceparent";

/// The lengths of version, trace, span and flags in the header `traceparent`
/// of <https://www.w3.org/TR/trace-context/>.
const FIELD_LENGTHS: [usize; 4] = [2, 32, 16, 2];

/// An operation in a trace. It ends when the value is dropped.
pub struct Span {
    context: SpanContext,
    recorder: Option<Box<SdkSpan>>,
}

impl Span {
    /// Starts a child of the span that the header names. Without a valid
    /// header the span starts a new trace.
    pub fn start(kind: SpanKind, traceparent: Option<&str>, name: impl FnOnce() -> String) -> Self {
        let parent = parent(traceparent);
        match TRACER.get() {
            Some(tracer) => Self::record(tracer, kind, &parent, tracer.span_builder(name())),
            None => Self { context: unrecorded(parent.span().span_context()), recorder: None },
        }
    }

    /// Does the same for an operation that started at `start_ms`, in
    /// milliseconds since the Unix epoch. Returns `None` if nothing records the
    /// span.
    pub fn start_at(
        kind: SpanKind,
        traceparent: Option<&str>,
        start_ms: u64,
        name: impl FnOnce() -> String,
    ) -> Option<Self> {
        let tracer = TRACER.get()?;
        let start = SystemTime::UNIX_EPOCH + Duration::from_millis(start_ms);
        let builder = tracer.span_builder(name()).with_start_time(start.min(SystemTime::now()));
        Self::record(tracer, kind, &parent(traceparent), builder).if_recorded()
    }

    /// Starts a span for a call to another system, such as a database, a
    /// provider or another host. Returns `None` if nothing records the span
    /// that the header names.
    pub fn start_call(traceparent: Option<&str>, name: impl FnOnce() -> String) -> Option<Self> {
        let tracer = TRACER.get()?;
        let parent = parent(traceparent);
        if !parent.span().span_context().is_sampled() {
            return None;
        }
        Self::record(tracer, SpanKind::Client, &parent, tracer.span_builder(name())).if_recorded()
    }

    fn record(tracer: &SdkTracer, kind: SpanKind, parent: &Context, builder: SpanBuilder) -> Self {
        let span = tracer.build_with_context(builder.with_kind(kind), parent);
        Self { context: span.span_context().clone(), recorder: span.is_recording().then(|| Box::new(span)) }
    }

    fn if_recorded(self) -> Option<Self> {
        Some(self).filter(|span| span.recorder.is_some())
    }

    /// The identifier of its trace. It is shown in hexadecimal.
    pub fn trace_id(&self) -> TraceId {
        self.context.trace_id()
    }

    /// The identifier of its trace as 32 hexadecimal digits.
    pub fn trace_text(&self) -> String {
        let mut text = [0; 32];
        write_hex(&self.context.trace_id().to_bytes(), &mut text);
        ascii(&text)
    }

    /// The header `traceparent` for the operations that this one causes.
    pub fn traceparent(&self) -> String {
        let context = &self.context;
        let flags = context.trace_flags() & TraceFlags::SAMPLED;
        // The formatter of the standard library takes three times as many instructions.
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&context.trace_id().to_bytes(), &mut text[3..35]);
        write_hex(&context.span_id().to_bytes(), &mut text[36..52]);
        write_hex(&[flags.to_u8()], &mut text[53..55]);
        ascii(&text)
    }

    /// The same header, or `None` if nothing records this span. The operations
    /// that this one causes then keep the header that this one was given.
    pub fn recorded_traceparent(&self) -> Option<String> {
        self.recorder.is_some().then(|| self.traceparent())
    }

    /// Adds attributes, if the span is recorded.
    pub fn set_attributes<const N: usize>(&mut self, attributes: impl FnOnce() -> [(&'static str, Value); N]) {
        if let Some(recorder) = &mut self.recorder {
            recorder.set_attributes(attributes().map(|(name, value)| KeyValue::new(name, value)));
        }
    }

    /// Marks the operation as failed, with this error type (`error.type`).
    pub fn fail_with_type(&mut self, error_type: &'static str) {
        self.set_attributes(|| [("error.type", error_type.into())]);
        self.fail(|| error_type.to_owned());
    }

    /// Marks the operation as failed.
    pub fn fail(&mut self, reason: impl FnOnce() -> String) {
        if let Some(recorder) = &mut self.recorder {
            recorder.set_status(Status::error(reason()));
        }
    }
}

/// Writes two digits for each byte.
fn write_hex(bytes: &[u8], digits: &mut [u8]) {
    // It fails only where the lengths differ.
    let _ = hex::encode_to_slice(bytes, digits);
}

/// A text of ASCII characters.
fn ascii(text: &[u8]) -> String {
    String::from_utf8(text.to_vec()).unwrap_or_default()
}

/// The trace that a header `traceparent` names.
pub fn trace_of(traceparent: &str) -> Option<TraceId> {
    let id = TraceId::from_hex(traceparent.split('-').nth(1)?).ok()?;
    (id != TraceId::INVALID).then_some(id)
}

/// The position of a span that nothing records: a child of the parent, or the
/// root of a new trace if the parent is not valid.
fn unrecorded(parent: &SpanContext) -> SpanContext {
    let ids = RandomIdGenerator::default();
    let (trace_id, flags) = match parent.is_valid() {
        true => (parent.trace_id(), parent.trace_flags()),
        false => (ids.new_trace_id(), TraceFlags::SAMPLED),
    };
    SpanContext::new(trace_id, ids.new_span_id(), flags, false, TraceState::NONE)
}

/// A context with the span that the header names, or without a span.
fn parent(traceparent: Option<&str>) -> Context {
    // The propagator alone would also read identifiers of a wrong length.
    let complete = traceparent.filter(|text| text.split('-').map(str::len).take(4).eq(FIELD_LENGTHS));
    match complete {
        Some(text) => TraceContextPropagator::new().extract_with_context(&Context::new(), &Header(text)),
        None => Context::new(),
    }
}

/// A message whose only header is `traceparent`.
struct Header<'a>(&'a str);

impl Extractor for Header<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        (name == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[cfg(test)]
mod tests;
