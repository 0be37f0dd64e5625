//! `wasi:logging`: a component's lines in the host's log, bounded in length
//! and number.

pub use crate::bindings::wasi::logging::logging::Level;

use crate::bindings::wasi::logging::logging::Host;
use host_base::text::cut;
use wasmtime::component::{HasData, Linker};

/// The longest message; what follows is cut.
const MAX_LINE_BYTES: usize = 8 << 10;
/// The most lines of one invocation.
const MAX_LINES: u32 = 200;

/// A component's view of the log during one invocation.
pub struct LoggingView<'a> {
    /// Whose lines they are.
    pub component: &'a str,
    /// The request or event that they are about.
    pub call_id: &'a str,
    /// How many lines it has written.
    pub lines: &'a mut u32,
}

/// Ties the view to the linker.
struct HasLogging;

impl HasData for HasLogging {
    type Data<'a> = LoggingView<'a>;
}

/// Links `wasi:logging`; `view` lends what one invocation sees of it.
///
/// # Errors
/// When the linker has the interface already.
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
    /// Writes a line, unless there have been too many.
    pub fn write(&mut self, level: Level, context: &str, message: &str) {
        *self.lines = self.lines.saturating_add(1);
        if *self.lines > MAX_LINES {
            metrics::counter!("plugin_log_lines_dropped_total", "component" => self.component.to_owned()).increment(1);
            return;
        }
        let (message, context) = (cut(message, MAX_LINE_BYTES), cut(context, MAX_LINE_BYTES));
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
