//! Tells the two kinds of components apart by their exports.

use wasmparser::{Parser, Payload};

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
}

/// The exports that make a component a `wasi:http` component, without versions.
const WASI_HANDLERS: [&str; 2] = ["wasi:http/incoming-handler", "wasi:http/handler"];

fn exports_wasi_http(bytes: &[u8]) -> bool {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::ComponentExportSection(exports)) if depth == 0 => {
                let found = exports.into_iter().flatten().any(|export| {
                    let name = export.name.name.split('@').next().unwrap_or_default();
                    WASI_HANDLERS.contains(&name)
                });
                if found {
                    return true;
                }
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}
