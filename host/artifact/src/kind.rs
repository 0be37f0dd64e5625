//! The two kinds of components, by what they export.

use wasmparser::{Parser, Payload};

/// What a file is to be compiled as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has the platform's interfaces, or none.
    Platform,
    /// It exports a standard handler of requests.
    WasiHttp,
}

impl Kind {
    /// Reads the kind from a component's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        if exports_wasi_http(bytes) { Self::WasiHttp } else { Self::Platform }
    }
}

/// The exports that make a component one of `wasi:http`, without versions.
const HANDLERS: [&str; 2] = ["wasi:http/incoming-handler", "wasi:http/handler"];

/// Whether these bytes are a component that exports a standard handler of
/// requests.
fn exports_wasi_http(bytes: &[u8]) -> bool {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::ComponentExportSection(exports)) if depth == 0 => {
                let found = exports.into_iter().flatten().any(|export| {
                    let name = export.name.name.split('@').next().unwrap_or_default();
                    HANDLERS.contains(&name)
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
