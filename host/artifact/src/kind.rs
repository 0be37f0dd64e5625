//! Tells the two kinds of components apart by their exports.

use crate::{interface_names::InterfaceNames, permissions::without_version};

/// The kind of a component. It decides which engine compiles the component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComponentKind {
    /// It exports the interfaces of the platform, or none.
    Platform,
    /// It exports a request handler of `wasi:http`.
    WasiHttp,
}

impl ComponentKind {
    /// Reads the kind from the bytes of a component.
    pub fn of(bytes: &[u8]) -> Self {
        if exports_wasi_http(bytes) { Self::WasiHttp } else { Self::Platform }
    }

    /// Its name for metrics and for the process that compiles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::WasiHttp => "wasi-http",
        }
    }
}

/// The exports that make a component a `wasi:http` component, without versions.
pub(crate) const WASI_HANDLERS: [&str; 2] = ["wasi:http/incoming-handler", "wasi:http/handler"];

fn exports_wasi_http(bytes: &[u8]) -> bool {
    let is_handler = |name: &String| WASI_HANDLERS.contains(&without_version(name));
    InterfaceNames::of(bytes).is_ok_and(|names| names.exports.iter().any(is_handler))
}
