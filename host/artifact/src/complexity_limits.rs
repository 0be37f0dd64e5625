//! Limits on the complexity of a plugin file. The host counts the contents of a
//! file before it validates or compiles them.
//!
//! A few bytes can cause much work: a million functions, a million locals in each
//! function, deeply nested types. The limits keep the work in proportion to the
//! size of the file. They leave room for the largest known components:
//! interpreters of JavaScript and Python with their libraries.

use std::collections::BTreeMap;
use wasmparser::{BinaryReaderError, ElementItems, ElementSectionReader, FunctionBody, Payload};

/// Counts the contents of one file.
#[derive(Debug, Default)]
pub(super) struct ComplexityCounter {
    counts: BTreeMap<Quantity, u64>,
    depth: u64,
}

/// The component exceeds one of the limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the component has more than {limit} {quantity}")]
pub struct TooComplex {
    /// The name of the counted things.
    pub quantity: &'static str,
    /// The limit.
    pub limit: u64,
}

/// Why the count stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComplexityError {
    #[error(transparent)]
    TooComplex(#[from] TooComplex),
    #[error(transparent)]
    Malformed(#[from] BinaryReaderError),
}

/// The counted things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Quantity {
    Nesting,
    Modules,
    CoreTypes,
    ComponentTypeBytes,
    Functions,
    FunctionBytes,
    Locals,
    Imports,
    Exports,
    Globals,
    Memories,
    Tables,
    Tags,
    TableElements,
    DataSegments,
    Definitions,
    CustomSections,
}

impl Quantity {
    /// The limit, as the error that reports it.
    fn limit(self) -> TooComplex {
        let (quantity, limit) = match self {
            Self::Nesting => ("levels of components and modules in each other", 16),
            Self::Modules => ("components and modules in it", 500),
            Self::CoreTypes => ("core types", 100_000),
            Self::ComponentTypeBytes => ("bytes of component types", 1 << 20),
            Self::Functions => ("functions", 200_000),
            Self::FunctionBytes => ("bytes in one function", 2 << 20),
            Self::Locals => ("local variables", 5_000_000),
            Self::Imports => ("imports", 50_000),
            Self::Exports => ("exports", 100_000),
            Self::Globals => ("globals", 100_000),
            Self::Memories => ("memories", 100),
            Self::Tables => ("tables", 1_000),
            Self::Tags => ("tags", 1_000),
            Self::TableElements => ("table elements", 2_000_000),
            Self::DataSegments => ("data segments", 50_000),
            Self::Definitions => ("instances, aliases and canonical functions", 100_000),
            Self::CustomSections => ("custom sections", 1_000),
        };
        TooComplex { quantity, limit }
    }
}

impl ComplexityCounter {
    /// The nesting depth of the current part of the file: 0 in the outermost
    /// component.
    pub(super) fn depth(&self) -> u64 {
        self.depth
    }

    /// Counts the next part of the file.
    ///
    /// # Errors
    /// When a limit is exceeded or the part cannot be read.
    pub(super) fn count(&mut self, payload: &Payload<'_>) -> Result<(), ComplexityError> {
        let (quantity, count) = match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.enter()?;
                (Quantity::Modules, 1)
            }
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                return Ok(());
            }
            Payload::CodeSectionEntry(body) => return self.count_body(body),
            Payload::ElementSection(section) => return self.count_elements(section),
            Payload::CustomSection(_) => (Quantity::CustomSections, 1),
            Payload::TypeSection(section) => (Quantity::CoreTypes, section.count()),
            Payload::CoreTypeSection(section) => (Quantity::CoreTypes, section.count()),
            Payload::ComponentTypeSection(section) => (Quantity::ComponentTypeBytes, length(&section.range())),
            Payload::ImportSection(section) => (Quantity::Imports, section.count()),
            Payload::ComponentImportSection(section) => (Quantity::Imports, section.count()),
            Payload::ExportSection(section) => (Quantity::Exports, section.count()),
            Payload::ComponentExportSection(section) => (Quantity::Exports, section.count()),
            Payload::FunctionSection(section) => (Quantity::Functions, section.count()),
            Payload::GlobalSection(section) => (Quantity::Globals, section.count()),
            Payload::MemorySection(section) => (Quantity::Memories, section.count()),
            Payload::TableSection(section) => (Quantity::Tables, section.count()),
            Payload::TagSection(section) => (Quantity::Tags, section.count()),
            Payload::DataSection(section) => (Quantity::DataSegments, section.count()),
            Payload::InstanceSection(section) => (Quantity::Definitions, section.count()),
            Payload::ComponentInstanceSection(section) => (Quantity::Definitions, section.count()),
            Payload::ComponentAliasSection(section) => (Quantity::Definitions, section.count()),
            Payload::ComponentCanonicalSection(section) => (Quantity::Definitions, section.count()),
            _ => return Ok(()),
        };
        Ok(self.add(quantity, count)?)
    }

    fn enter(&mut self) -> Result<(), TooComplex> {
        let nesting = Quantity::Nesting.limit();
        self.depth += 1;
        if self.depth > nesting.limit { Err(nesting) } else { Ok(()) }
    }

    fn count_elements(&mut self, section: &ElementSectionReader<'_>) -> Result<(), ComplexityError> {
        for element in section.clone() {
            let items = match element?.items {
                ElementItems::Functions(functions) => functions.count(),
                ElementItems::Expressions(_, expressions) => expressions.count(),
            };
            self.add(Quantity::TableElements, items.saturating_add(1))?;
        }
        Ok(())
    }

    fn count_body(&mut self, body: &FunctionBody<'_>) -> Result<(), ComplexityError> {
        let bytes = Quantity::FunctionBytes.limit();
        if u64::from(length(&body.range())) > bytes.limit {
            return Err(bytes.into());
        }
        for local in body.get_locals_reader()? {
            let (locals, _) = local?;
            self.add(Quantity::Locals, locals)?;
        }
        Ok(())
    }

    fn add(&mut self, quantity: Quantity, more: u32) -> Result<(), TooComplex> {
        let count = self.counts.entry(quantity).or_default();
        *count = count.saturating_add(more.into());
        let limit = quantity.limit();
        if *count > limit.limit { Err(limit) } else { Ok(()) }
    }
}

fn length<T: Copy + std::ops::Sub<Output = T> + TryInto<u32>>(range: &std::ops::Range<T>) -> u32 {
    (range.end - range.start).try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
