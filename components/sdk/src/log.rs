//! Lines in the host's log, under the component's name.

use std::sync::Once;

use crate::bindings::imports::wasi::logging::logging::{Level, log};

/// For who develops the component.
pub fn debug(context: &str, message: &str) {
    log(Level::Debug, context, message);
}

/// For who operates it.
pub fn info(context: &str, message: &str) {
    log(Level::Info, context, message);
}

/// Something unusual that was dealt with.
pub fn warn(context: &str, message: &str) {
    log(Level::Warn, context, message);
}

/// Something that needs looking at.
pub fn error(context: &str, message: &str) {
    log(Level::Error, context, message);
}

/// Sends panics to the log before they end the invocation.
#[doc(hidden)]
pub fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            log(Level::Critical, "panic", &panic.to_string());
        }));
    });
}
