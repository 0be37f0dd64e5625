//! How much of everything one file may hold, counted before it is validated
//! or compiled.
//!
//! A few bytes can ask for a lot: a million functions, a million locals in
//! each, a type of types of types. The limits leave room for the largest
//! components there are, interpreters of JavaScript and Python with their
//! libraries, and keep the work that a file causes in proportion to its size.

use std::collections::BTreeMap;
use wasmparser::{BinaryReaderError, ElementItems, FunctionBody, Payload};

/// What has been counted of a file so far.
#[derive(Debug, Default)]
pub(super) struct Counter {
    counts: BTreeMap<Kind, u64>,
    depth: u64,
}

/// More of something than a file may hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the component has more than {most} {what}")]
pub struct OverLimit {
    /// What there is too much of.
    pub what: &'static str,
    /// The most that is accepted.
    pub most: u64,
}

/// Why counting stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComplexityError {
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    #[error(transparent)]
    Malformed(#[from] BinaryReaderError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
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

impl Kind {
    /// What it is called in a refusal, and the most that is accepted.
    fn limit(self) -> OverLimit {
        let (what, most) = match self {
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
        OverLimit { what, most }
    }
}

impl Counter {
    /// How deep the current part of the file lies: 0 for what belongs to the
    /// outermost component itself.
    pub(super) fn depth(&self) -> u64 {
        self.depth
    }

    /// Counts one part of the file, in its order.
    ///
    /// # Errors
    /// When there is too much of it, or it cannot be read.
    pub(super) fn count(&mut self, payload: &Payload<'_>) -> Result<(), ComplexityError> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.depth += 1;
                if self.depth > Kind::Nesting.limit().most {
                    return Err(Kind::Nesting.limit().into());
                }
                self.add(Kind::Modules, 1)?;
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::CustomSection(_) => self.add(Kind::CustomSections, 1)?,
            Payload::TypeSection(section) => self.add(Kind::CoreTypes, section.count())?,
            Payload::CoreTypeSection(section) => self.add(Kind::CoreTypes, section.count())?,
            Payload::ComponentTypeSection(section) => {
                self.add(Kind::ComponentTypeBytes, span(&section.range()))?;
            }
            Payload::ImportSection(section) => self.add(Kind::Imports, section.count())?,
            Payload::ComponentImportSection(section) => self.add(Kind::Imports, section.count())?,
            Payload::ExportSection(section) => self.add(Kind::Exports, section.count())?,
            Payload::ComponentExportSection(section) => self.add(Kind::Exports, section.count())?,
            Payload::FunctionSection(section) => self.add(Kind::Functions, section.count())?,
            Payload::CodeSectionEntry(body) => self.count_body(body)?,
            Payload::GlobalSection(section) => self.add(Kind::Globals, section.count())?,
            Payload::MemorySection(section) => self.add(Kind::Memories, section.count())?,
            Payload::TableSection(section) => self.add(Kind::Tables, section.count())?,
            Payload::TagSection(section) => self.add(Kind::Tags, section.count())?,
            Payload::DataSection(section) => self.add(Kind::DataSegments, section.count())?,
            Payload::ElementSection(section) => {
                for element in section.clone() {
                    let items = match element?.items {
                        ElementItems::Functions(functions) => functions.count(),
                        ElementItems::Expressions(_, expressions) => expressions.count(),
                    };
                    self.add(Kind::TableElements, items.saturating_add(1))?;
                }
            }
            Payload::InstanceSection(section) => self.add(Kind::Definitions, section.count())?,
            Payload::ComponentInstanceSection(section) => self.add(Kind::Definitions, section.count())?,
            Payload::ComponentAliasSection(section) => self.add(Kind::Definitions, section.count())?,
            Payload::ComponentCanonicalSection(section) => self.add(Kind::Definitions, section.count())?,
            _ => {}
        }
        Ok(())
    }

    fn count_body(&mut self, body: &FunctionBody<'_>) -> Result<(), ComplexityError> {
        let bytes = Kind::FunctionBytes.limit();
        if span(&body.range()) > u32::try_from(bytes.most).unwrap_or(u32::MAX) {
            return Err(bytes.into());
        }
        for local in body.get_locals_reader()? {
            let (locals, _) = local?;
            self.add(Kind::Locals, locals)?;
        }
        Ok(())
    }

    fn add(&mut self, kind: Kind, more: u32) -> Result<(), OverLimit> {
        let count = self.counts.entry(kind).or_default();
        *count = count.saturating_add(more.into());
        let limit = kind.limit();
        if *count > limit.most { Err(limit) } else { Ok(()) }
    }
}

fn span<T: Copy + std::ops::Sub<Output = T> + TryInto<u32>>(range: &std::ops::Range<T>) -> u32 {
    (range.end - range.start).try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::Parser;

    fn refusal(bytes: &[u8]) -> String {
        let mut census = Counter::default();
        Parser::new(0)
            .parse_all(bytes)
            .find_map(|payload| census.count(&payload.unwrap()).err())
            .expect("a refusal")
            .to_string()
    }

    fn component(inside: &str) -> Vec<u8> {
        wat::parse_str(format!("(component {inside})")).unwrap()
    }

    fn number(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    /// A module with so many items of a kind in one section, as bytes: a text
    /// of that size takes long to parse.
    fn module(sections: &[(u8, usize, &[u8])]) -> Vec<u8> {
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        for (id, count, item) in sections {
            let content = [number(*count), item.repeat(*count)].concat();
            bytes.extend([&[*id][..], &number(content.len()), &content].concat());
        }
        bytes
    }

    fn body(content: &[u8]) -> Vec<u8> {
        [number(content.len()).as_slice(), content].concat()
    }

    #[test]
    fn a_bomb_is_named_by_what_it_is_made_of() {
        let deep = format!("{}{}", "(component ".repeat(17), ")".repeat(17));
        assert!(refusal(&component(&deep)).contains("more than 16 levels"));
        assert!(refusal(&component(&"(core module)".repeat(501))).contains("500 components and modules"));
        assert!(refusal(&component(&"(@custom \"x\" \"\")".repeat(1_001))).contains("1000 custom sections"));
        let record: String = (0..8_000).map(|i| format!("(field \"field-{i}\" (list u8))")).collect();
        assert!(
            refusal(&component(&format!("(type (record {record}))").repeat(10))).contains("bytes of component types")
        );
        let elements = [&[1, 0][..], &number(2_000_001), &[0; 2_000_001]].concat();
        for (section, expected) in [
            ((1, 100_001, &[0x60, 0, 0][..]), "100000 core types"),
            ((2, 50_001, &[1, b'a', 1, b'b', 0, 0]), "50000 imports"),
            ((3, 200_001, &[0]), "200000 functions"),
            ((4, 1_001, &[0x70, 0, 0]), "1000 tables"),
            ((5, 101, &[0, 0]), "100 memories"),
            ((6, 100_001, &[0x7f, 0, 0x41, 0, 0x0b]), "100000 globals"),
            ((7, 100_001, &[1, b'a', 0, 0]), "100000 exports"),
            ((9, 1, &elements), "2000000 table elements"),
            ((11, 50_001, &[1, 0]), "50000 data segments"),
        ] {
            let refused = refusal(&module(&[section]));
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn functions_that_take_long_to_compile_are_refused() {
        let long = body(&[&[0][..], &vec![1; 2 << 20], &[0x0b]].concat());
        assert!(refusal(&module(&[(3, 1, &[0]), (10, 1, &long)])).contains("bytes in one function"));
        let locals = body(&[&[1][..], &number(50_000), &[0x7f, 0x0b]].concat());
        let refused = refusal(&module(&[(3, 101, &[0]), (10, 101, &locals)]));
        assert!(refused.contains("5000000 local variables"), "{refused}");
    }
}
