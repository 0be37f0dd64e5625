//! Compares the types of two components, or of a component and the host.
//!
//! The types of the component model are structural, and both caller and callee are
//! compiled against the complete type. Almost every difference is therefore
//! incompatible:
//!
//! | difference | in an export | in an import |
//! |---|---|---|
//! | an interface or a function is added | compatible | compatible, if the host offers it |
//! | an interface or a function is removed | incompatible | compatible |
//! | a handler is removed, and another one does its work | compatible | |
//! | a function becomes async, or is no longer async | incompatible | incompatible |
//! | a parameter or the result is added, removed, moved or of another type | incompatible | incompatible |
//! | a field of a record is added, removed, renamed, moved or of another type | incompatible | incompatible |
//! | a case of a variant or enum, or a flag, is added, removed, renamed, moved or has another payload | incompatible | incompatible |
//! | a parameter has another name | compatible | compatible |
//! | a type has another name and the same structure | compatible | compatible |
//! | a type is added or removed, and the functions stay the same | compatible | compatible |
//! | the version of an interface grows, and semver calls the versions compatible | compatible | compatible |
//!
//! An added case is incompatible in a result as well as in a parameter: the
//! reader of the value was compiled with the number of cases.

use super::{
    baseline::Baseline,
    describe::{describe_both, function_name, kind, resolve_alias},
    handlers,
    interfaces::{Interface, interface_name},
    members::{Members, noun},
};
use host_api::verdict::TypeChange;
use std::collections::{BTreeMap, HashMap, HashSet};
use wit_parser::{Function, Handle, Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner};

/// The comparer reports no more changes than this.
const MAX_CHANGES: usize = 200;

/// The direction of an interface, from the view of the component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Import,
    Export,
}

/// Compares the types of two worlds and collects the changes.
pub(super) struct TypeComparer<'a> {
    old: &'a Resolve,
    new: &'a Resolve,
    baseline: Baseline,
    /// The pairs that are compared already. Types share parts, and the comparer
    /// reports each part once.
    compared: HashMap<(TypeId, TypeId), Comparison>,
    changes: Vec<TypeChange>,
}

/// The result of the comparison of two types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Same,
    /// The types differ, and the change is reported under the name of the type
    /// that causes it.
    Reported,
    Different,
}

impl Comparison {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Different, _) | (_, Self::Different) => Self::Different,
            (Self::Reported, _) | (_, Self::Reported) => Self::Reported,
            (Self::Same, Self::Same) => Self::Same,
        }
    }
}

/// A difference between two lists of members.
struct Difference {
    text: String,
    /// Only the name of the member differs.
    is_rename: bool,
}

impl Difference {
    fn new(text: String) -> Self {
        Self { text, is_rename: false }
    }
}

impl<'a> TypeComparer<'a> {
    pub(super) fn new(old: &'a Resolve, new: &'a Resolve, baseline: Baseline) -> Self {
        Self { old, new, baseline, compared: HashMap::new(), changes: Vec::new() }
    }

    /// The changes, in the order in which the comparer found them.
    pub(super) fn finish(self) -> Vec<TypeChange> {
        self.changes
    }

    /// Compares all interfaces of one direction.
    pub(super) fn interfaces(
        &mut self,
        direction: Direction,
        old: &BTreeMap<String, Interface<'_>>,
        new: &BTreeMap<String, Interface<'_>>,
    ) {
        let participle = match direction {
            Direction::Import => "imported",
            Direction::Export => "exported",
        };
        for (name, interface) in new {
            match old.get(name) {
                Some(before) => self.interface(direction, before, interface),
                None => self.report(&interface.name, "interface", format!("it is {participle} now"), true),
            }
        }
        for (name, interface) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
            let exports = new.keys().map(String::as_str);
            let is_compatible = direction == Direction::Import || handlers::do_its_work(exports, name);
            self.report(&interface.name, "interface", format!("it is not {participle} any more"), is_compatible);
        }
    }

    /// Compares one interface. It begins with the types, so that a change of a type
    /// is reported under the name of the type and not for each function.
    pub(super) fn interface(&mut self, direction: Direction, old: &Interface<'_>, new: &Interface<'_>) {
        self.types(old, new);
        self.functions(direction, old, new);
    }

    /// Reports an interface of the platform that the host does not have.
    pub(super) fn unknown_interface(&mut self, direction: Direction, interface: &Interface<'_>) {
        let text = match direction {
            Direction::Import => "this host does not offer it",
            Direction::Export => "this host does not call it",
        };
        self.report(&interface.name, "interface", text.to_owned(), false);
    }

    fn types(&mut self, old: &Interface<'_>, new: &Interface<'_>) {
        for (name, id) in &new.types {
            match old.types.get(name) {
                Some(before) => self.named_type(&new.name, name, *before, *id),
                None => self.unpaired_type(&new.name, self.new, *id, Baseline::added),
            }
        }
        for (_, id) in old.types.iter().filter(|(name, _)| !new.types.contains_key(*name)) {
            self.unpaired_type(&new.name, self.old, *id, Baseline::removed);
        }
    }

    fn functions(&mut self, direction: Direction, old: &Interface<'_>, new: &Interface<'_>) {
        // A component can import a part of an interface of the host.
        let can_be_partial = self.baseline == Baseline::Host && direction == Direction::Import;
        for (name, function) in &new.functions {
            match old.functions.get(name) {
                Some(before) => self.function(&new.name, before, function),
                None => self.report(&new.name, &function_name(name), self.baseline.added("it"), !can_be_partial),
            }
        }
        if can_be_partial {
            return;
        }
        for (name, _) in old.functions.iter().filter(|(name, _)| !new.functions.contains_key(*name)) {
            let is_compatible = direction == Direction::Import;
            self.report(&new.name, &function_name(name), self.baseline.removed("it"), is_compatible);
        }
    }

    fn report(&mut self, interface: &str, item: &str, change: String, compatible: bool) {
        if self.changes.len() < MAX_CHANGES {
            let (interface, item) = (interface.to_owned(), item.to_owned());
            self.changes.push(TypeChange { interface, item, change, compatible });
        }
    }

    /// Reports a type that only one side has. The type alone breaks nothing.
    fn unpaired_type(&mut self, interface: &str, resolve: &Resolve, id: TypeId, text: fn(Baseline, &str) -> String) {
        let Some(ty) = resolve.types.get(id) else { return };
        if self.baseline == Baseline::ActiveRevision
            && let (Some(name), Some(kind)) = (&ty.name, kind(ty))
        {
            self.report(interface, &format!("{kind} {name}"), text(self.baseline, "it"), true);
        }
    }

    fn named_type(&mut self, interface: &str, name: &str, old: TypeId, new: TypeId) {
        let (old, new) = (Type::Id(old), Type::Id(new));
        if self.compare(old, new) == Comparison::Different {
            let text = self.changed("it", Some(old), Some(new));
            self.report(interface, &format!("type {name}"), text, false);
        }
    }

    fn function(&mut self, interface: &str, old: &Function, new: &Function) {
        let item = function_name(&new.name);
        if old.kind.is_async() != new.kind.is_async() {
            let text = |function: &Function| if function.kind.is_async() { "async" } else { "not async" };
            let change = self.baseline.changed("it", text(old), text(new));
            self.report(interface, &item, change, false);
        }
        let (old_parameters, new_parameters) = (Members::of_function(old), Members::of_function(new));
        let (differences, _) = self.compare_members("parameter", &old_parameters, &new_parameters);
        for difference in differences {
            self.report(interface, &item, difference.text, difference.is_rename);
        }
        if self.compare_optional(old.result, new.result) == Comparison::Different {
            let change = self.changed("its result", old.result, new.result);
            self.report(interface, &item, change, false);
        }
    }

    fn changed(&self, what: &str, old: Option<Type>, new: Option<Type>) -> String {
        let (old, new) = describe_both((self.old, old), (self.new, new));
        self.baseline.changed(what, &old, &new)
    }

    fn compare_optional(&mut self, old: Option<Type>, new: Option<Type>) -> Comparison {
        match (old, new) {
            (Some(old), Some(new)) => self.compare(old, new),
            (None, None) => Comparison::Same,
            _ => Comparison::Different,
        }
    }

    /// Compares the structure of two types. The validation of the component limits
    /// the depth of a type.
    fn compare(&mut self, old: Type, new: Type) -> Comparison {
        match (resolve_alias(self.old, old), resolve_alias(self.new, new)) {
            (Type::Id(old), Type::Id(new)) => {
                if let Some(known) = self.compared.get(&(old, new)) {
                    return *known;
                }
                let comparison = self.compare_defined(old, new);
                self.compared.insert((old, new), comparison);
                comparison
            }
            (old, new) if old == new => Comparison::Same,
            _ => Comparison::Different,
        }
    }

    fn compare_defined(&mut self, old_id: TypeId, new_id: TypeId) -> Comparison {
        use TypeDefKind as Kind;
        let (Some(old), Some(new)) = (self.old.types.get(old_id), self.new.types.get(new_id)) else {
            return Comparison::Different;
        };
        if let (Some(old_members), Some(new_members)) = (Members::of_type(&old.kind), Members::of_type(&new.kind))
            && kind(old) == kind(new)
        {
            return self.compare_named(new, &old_members, &new_members);
        }
        match (&old.kind, &new.kind) {
            (Kind::Resource, Kind::Resource) if old.name == new.name => Comparison::Same,
            (Kind::Handle(Handle::Own(old)), Kind::Handle(Handle::Own(new)))
            | (Kind::Handle(Handle::Borrow(old)), Kind::Handle(Handle::Borrow(new))) => {
                self.compare(Type::Id(*old), Type::Id(*new))
            }
            (Kind::Tuple(old), Kind::Tuple(new)) if old.types.len() == new.types.len() => {
                self.compare_all(old.types.iter().copied().zip(new.types.iter().copied()))
            }
            (Kind::Option(old), Kind::Option(new)) | (Kind::List(old), Kind::List(new)) => self.compare(*old, *new),
            (Kind::FixedLengthList(old, before), Kind::FixedLengthList(new, now)) if before == now => {
                self.compare(*old, *new)
            }
            (Kind::Map(old_key, old), Kind::Map(new_key, new)) => {
                self.compare_all([(*old_key, *new_key), (*old, *new)])
            }
            (Kind::Result(old), Kind::Result(new)) => {
                self.compare_optional(old.ok, new.ok).and(self.compare_optional(old.err, new.err))
            }
            (Kind::Future(old), Kind::Future(new)) | (Kind::Stream(old), Kind::Stream(new)) => {
                self.compare_optional(*old, *new)
            }
            _ => Comparison::Different,
        }
    }

    fn compare_all(&mut self, pairs: impl IntoIterator<Item = (Type, Type)>) -> Comparison {
        pairs.into_iter().fold(Comparison::Same, |so_far, (old, new)| so_far.and(self.compare(old, new)))
    }

    /// Compares two records, variants, enums or flags, and reports the differences
    /// under the name of the type.
    fn compare_named(&mut self, new: &TypeDef, old_members: &Members<'_>, new_members: &Members<'_>) -> Comparison {
        let (kind, noun) = (kind(new).unwrap_or("type"), noun(&new.kind));
        let (differences, nested) = self.compare_members(noun, old_members, new_members);
        if differences.is_empty() {
            return nested;
        }
        let interface = match new.owner {
            TypeOwner::Interface(id) => interface_name(self.new, id),
            _ => "the world".to_owned(),
        };
        let item = format!("{kind} {}", new.name.as_deref().unwrap_or("without a name"));
        for difference in differences {
            self.report(&interface, &item, difference.text, false);
        }
        Comparison::Reported
    }

    /// Compares two lists of members. Returns the differences, and whether a type
    /// inside the members differs and is reported already.
    fn compare_members(&mut self, noun: &str, old: &Members<'_>, new: &Members<'_>) -> (Vec<Difference>, Comparison) {
        let mut differences = Vec::new();
        let mut nested = Comparison::Same;
        let mut renamed = HashSet::new();
        for (position, member) in new.list.iter().enumerate() {
            if let Some(before) = old.get(member.name) {
                match self.compare_optional(before.ty, member.ty) {
                    Comparison::Same => {}
                    Comparison::Reported => nested = Comparison::Reported,
                    Comparison::Different => {
                        let text = self.changed(&format!("{noun} {}", member.name), before.ty, member.ty);
                        differences.push(Difference::new(text));
                    }
                }
            } else if let Some(before) = old.list.get(position).filter(|before| !new.has(before))
                && self.compare_optional(before.ty, member.ty) == Comparison::Same
            {
                renamed.insert(before.name);
                let text = self.baseline.renamed(noun, before.name, member.name);
                differences.push(Difference { text, is_rename: true });
            } else {
                differences.push(Difference::new(self.baseline.added(&member.describe(noun, self.new))));
            }
        }
        let removed = old.list.iter().filter(|member| !new.has(member) && !renamed.contains(member.name));
        differences
            .extend(removed.map(|member| Difference::new(self.baseline.removed(&member.describe(noun, self.old)))));
        if old.common_names(new) != new.common_names(old) {
            differences.push(Difference::new(self.baseline.moved(noun)));
        }
        (differences, nested)
    }
}
