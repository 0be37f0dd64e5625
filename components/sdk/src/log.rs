//! Log lines. The host adds the name of the component, and `ticketing plugin logs
//! NAME` shows them.
//!
//! ```no_run
//! ticketing_sdk::log::info("greetings", format_args!("greeted {}", "anna"));
//! ```

use std::fmt::Display;
use std::sync::Once;

use crate::bindings::imports::wasi::logging::logging::{Level, log};

/// Writes a line for the developers of the component.
pub fn debug(context: &str, message: impl Display) {
    log(Level::Debug, context, &message.to_string());
}

/// Writes a line for the operators of the host.
pub fn info(context: &str, message: impl Display) {
    log(Level::Info, context, &message.to_string());
}

/// Reports an unusual event that the component has handled.
pub fn warn(context: &str, message: impl Display) {
    log(Level::Warn, context, &message.to_string());
}

/// Reports an error that an operator must look at.
pub fn error(context: &str, message: impl Display) {
    log(Level::Error, context, &message.to_string());
}

/// Makes panics write a log line before they end the invocation.
#[doc(hidden)]
pub fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            log(Level::Critical, "panic", &panic.to_string());
        }));
    });
}
