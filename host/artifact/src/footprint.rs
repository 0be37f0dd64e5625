//! What an instance of a component takes before its first call: its core
//! instances, and the number and initial sizes of their memories and tables.
//!
//! A component can define a module or a component once and instantiate it many
//! times, also inside of each other. The reader adds up each definition once. A
//! module that a component imports counts nothing, because only the linker knows
//! it.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Instance, MemorySectionReader, Payload, TableSectionReader,
};

/// The size of a page, unless a memory says otherwise.
const PAGE_BYTES_LOG2: u32 = 16;

/// The needs of one instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Instances of core modules.
    pub core_instances: u64,
    /// Linear memories.
    pub memories: u64,
    /// The initial size of all memories together.
    pub memory_bytes: u64,
    /// Tables.
    pub tables: u64,
    /// The initial size of the largest table.
    pub largest_table: u64,
}

impl Footprint {
    fn add(&mut self, other: Self) {
        self.core_instances = self.core_instances.saturating_add(other.core_instances);
        self.memories = self.memories.saturating_add(other.memories);
        self.memory_bytes = self.memory_bytes.saturating_add(other.memory_bytes);
        self.tables = self.tables.saturating_add(other.tables);
        self.largest_table = self.largest_table.max(other.largest_table);
    }

    /// The larger of two, for each need.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            core_instances: self.core_instances.max(other.core_instances),
            memories: self.memories.max(other.memories),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            tables: self.tables.max(other.tables),
            largest_table: self.largest_table.max(other.largest_table),
        }
    }
}

/// Reads the footprint of one file.
#[derive(Debug, Default)]
pub(super) struct FootprintReader {
    /// The outermost component first.
    outer: Vec<Scope>,
    current: Scope,
}

/// One component or module that is being read.
#[derive(Debug, Default)]
struct Scope {
    is_module: bool,
    /// The needs of an instance of it.
    total: Footprint,
    /// The index spaces of modules and of components. Those that are not known
    /// count nothing.
    modules: Vec<Footprint>,
    components: Vec<Footprint>,
}

impl FootprintReader {
    /// The footprint of what was read.
    pub(super) fn footprint(&self) -> Footprint {
        self.current.total
    }

    /// Reads the next part of the file.
    ///
    /// # Errors
    /// When the part cannot be read.
    pub(super) fn read(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ModuleSection { .. } => self.enter(true),
            Payload::ComponentSection { .. } => self.enter(false),
            Payload::End(_) => self.leave(),
            Payload::MemorySection(section) => self.current.add_memories(section)?,
            Payload::TableSection(section) => self.current.add_tables(section)?,
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.current.instantiate(module_index, true);
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        self.current.instantiate(component_index, false);
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.add_alias(&alias?);
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.current.modules.push(Footprint::default()),
                        ComponentTypeRef::Component(_) => self.current.components.push(Footprint::default()),
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                // An export is a definition again.
                for export in section.clone() {
                    let export = export?;
                    self.current.define_again(export.kind, export.index);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, is_module: bool) {
        let inner = Scope { is_module, ..Scope::default() };
        self.outer.push(std::mem::replace(&mut self.current, inner));
    }

    fn leave(&mut self) {
        let Some(outer) = self.outer.pop() else { return };
        let inner = std::mem::replace(&mut self.current, outer);
        match inner.is_module {
            true => self.current.modules.push(Footprint { core_instances: 1, ..inner.total }),
            false => self.current.components.push(inner.total),
        }
    }

    fn add_alias(&mut self, alias: &ComponentAlias<'_>) {
        match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. } => {
                self.current.modules.push(Footprint::default());
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                self.current.components.push(Footprint::default());
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, count, index } => {
                let found = self.scope(*count).map(|scope| found(&scope.modules, *index));
                self.current.modules.push(found.unwrap_or_default());
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                let found = self.scope(*count).map(|scope| found(&scope.components, *index));
                self.current.components.push(found.unwrap_or_default());
            }
            _ => {}
        }
    }

    /// The component that is this many levels further out.
    fn scope(&self, levels: u32) -> Option<&Scope> {
        match usize::try_from(levels).ok()? {
            0 => Some(&self.current),
            levels => self.outer.get(self.outer.len().checked_sub(levels)?),
        }
    }
}

impl Scope {
    fn add_memories(&mut self, section: &MemorySectionReader<'_>) -> Result<(), BinaryReaderError> {
        for memory in section.clone() {
            let memory = memory?;
            let page_bytes = 1_u64.checked_shl(memory.page_size_log2.unwrap_or(PAGE_BYTES_LOG2)).unwrap_or(u64::MAX);
            let memory_bytes = memory.initial.saturating_mul(page_bytes);
            self.total.add(Footprint { memories: 1, memory_bytes, ..Footprint::default() });
        }
        Ok(())
    }

    fn add_tables(&mut self, section: &TableSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for table in section.clone() {
            let largest_table = table?.ty.initial;
            self.total.add(Footprint { tables: 1, largest_table, ..Footprint::default() });
        }
        Ok(())
    }

    fn instantiate(&mut self, index: u32, is_module: bool) {
        let definitions = if is_module { &self.modules } else { &self.components };
        self.total.add(found(definitions, index));
    }

    fn define_again(&mut self, kind: ComponentExternalKind, index: u32) {
        match kind {
            ComponentExternalKind::Module => self.modules.push(found(&self.modules, index)),
            ComponentExternalKind::Component => self.components.push(found(&self.components, index)),
            _ => {}
        }
    }
}

/// A definition by its index. The validator refuses an index of none later.
fn found(definitions: &[Footprint], index: u32) -> Footprint {
    usize::try_from(index).ok().and_then(|index| definitions.get(index)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::Parser;

    fn of(text: &str) -> Footprint {
        let bytes = wat::parse_str(text).unwrap();
        let mut reader = FootprintReader::default();
        for payload in Parser::new(0).parse_all(&bytes) {
            reader.read(&payload.unwrap()).unwrap();
        }
        reader.footprint()
    }

    #[test]
    fn a_definition_counts_as_often_as_it_is_instantiated() {
        let none = "(component (core module (memory 10) (table 5 funcref)))";
        assert_eq!(of(none), Footprint::default());
        let twice = "(component
            (core module $m (memory 2) (table 5 funcref) (table 9 funcref))
            (core instance (instantiate $m))
            (core instance (instantiate $m)))";
        let expected = Footprint { core_instances: 2, memories: 2, memory_bytes: 4 << 16, tables: 4, largest_table: 9 };
        assert_eq!(of(twice), expected);
    }

    #[test]
    fn nested_components_and_outer_modules_count() {
        let text = "(component
            (core module $m (memory 3))
            (component $inner
                (core module $own (memory 1))
                (core instance (instantiate $own))
                (alias outer 1 0 (core module $outer))
                (core instance (instantiate $outer)))
            (instance (instantiate $inner))
            (export $again \"again\" (component $inner))
            (instance (instantiate $again)))";
        let footprint = of(text);
        assert_eq!((footprint.core_instances, footprint.memories, footprint.memory_bytes), (4, 4, 8 << 16));
    }

    #[test]
    fn many_levels_are_added_up_and_not_walked() {
        let mut text = "(core module $m (memory 1)) (core instance (instantiate $m))".to_owned();
        for _ in 0..40 {
            text = format!("(component $c {text}) (instance (instantiate $c)) (instance (instantiate $c))");
        }
        assert_eq!(of(&format!("(component {text})")).memories, 1 << 40);
    }

    #[test]
    fn the_largest_sizes_do_not_overflow() {
        let text = "(component
            (core module $m (memory i64 0x1000000000000) (table 0xffffffff funcref))
            (core instance (instantiate $m))
            (core instance (instantiate $m)))";
        let footprint = of(text);
        assert_eq!((footprint.memory_bytes, footprint.largest_table), (u64::MAX, 0xffff_ffff));
        let small_pages = "(component (core module $m (memory 7 (pagesize 1))) (core instance (instantiate $m)))";
        assert_eq!(of(small_pages).memory_bytes, 7);
    }
}
