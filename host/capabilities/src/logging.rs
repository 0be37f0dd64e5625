//! `wasi:logging`: components write lines to the log of the host. The length and
//! the number of the lines are limited.

pub use crate::bindings::wasi::logging::logging::Level;

use crate::bindings::wasi::logging::logging::Host;
use host_base::text::truncate;
use host_config::{offer::Offer, plugins::Grant};
use host_telemetry::log_budget;
use wasmtime::component::{HasData, Linker};

/// The interface for log lines.
pub const OFFER: Offer = Offer { grant: Grant::Logging, interfaces: &["wasi:logging/logging"] };

/// The length at which a message is cut.
const MAX_LINE_BYTES: usize = 8 << 10;
/// How many lines one invocation can write.
const MAX_LINES: u32 = 200;

/// A component's view of the log during one invocation.
pub struct LoggingView<'a> {
    /// The name of the component.
    pub component: &'a str,
    /// The identifier of the request or event.
    pub call_id: &'a str,
    /// How many lines the invocation has written.
    pub lines: &'a mut u32,
}

/// Names the type of the view for the linker.
struct HasLogging;

impl HasData for HasLogging {
    type Data<'a> = LoggingView<'a>;
}

/// Links `wasi:logging`. `view` returns the view of the current invocation.
///
/// # Errors
/// When the interface is linked already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> LoggingView<'_>,
) -> wasmtime::Result<()> {
    crate::bindings::wasi::logging::logging::add_to_linker::<T, HasLogging>(linker, view)
}

impl Host for LoggingView<'_> {
    async fn log(&mut self, level: Level, context: String, message: String) -> wasmtime::Result<()> {
        self.write(level, &context, &message);
        Ok(())
    }
}

impl LoggingView<'_> {
    /// Writes a line. Drops it when the invocation has reached its limit.
    pub fn write(&mut self, level: Level, context: &str, message: &str) {
        *self.lines = self.lines.saturating_add(1);
        if *self.lines > MAX_LINES {
            log_budget::drop_line(self.component);
            return;
        }
        let (message, context) = (truncate(message, MAX_LINE_BYTES), truncate(context, MAX_LINE_BYTES));
        let (component, call) = (self.component, self.call_id);
        match level {
            Level::Trace => tracing::trace!(target: "plugin", component, call, context, "{message}"),
            Level::Debug => tracing::debug!(target: "plugin", component, call, context, "{message}"),
            Level::Info => tracing::info!(target: "plugin", component, call, context, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", component, call, context, "{message}"),
            Level::Error | Level::Critical => {
                tracing::error!(target: "plugin", component, call, context, "{message}");
            }
        }
    }
}
