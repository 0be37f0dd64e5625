//! The log, the metrics, and the traces that requests, events and timers
//! belong to.

pub mod endpoint_metrics;
mod log;
pub mod log_budget;
mod log_format;
mod log_tail;
pub mod metrics;
pub mod otlp;
pub mod recent_traces;
pub mod trace;

pub use self::metrics::{Metrics, RevisionSeries};
pub use endpoint_metrics::EndpointMetrics;
pub use log::{LogGuard, TelemetryError, start_log, start_silent_log};
pub use log_tail::{KEPT_LINES, LogTail, TailItem};
pub use opentelemetry::trace::{SpanKind, TraceId};
pub use otlp::OtlpExporter;
pub use trace::Span;
