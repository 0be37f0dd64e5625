//! The interfaces of a component, by name.

use wasmparser::{BinaryReaderError, Parser, Payload};

/// The names in the outermost component of a file, such as `platform:store/sql@1.0.0`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceNames {
    /// The interfaces that it needs from its host.
    pub imports: Vec<String>,
    /// The interfaces that it offers.
    pub exports: Vec<String>,
}

impl InterfaceNames {
    /// Reads the names from the bytes of a component.
    ///
    /// # Errors
    /// The bytes are no WebAssembly.
    pub fn of(bytes: &[u8]) -> Result<Self, BinaryReaderError> {
        let (mut found, mut depth) = (Self::default(), 0_u32);
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        found.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports {
                        found.exports.push(export?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}
