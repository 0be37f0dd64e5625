//! What differs between the types of two components, or of one and the host.
//!
//! Types of the component model are structural, and caller and callee are
//! both compiled against the whole of a type. So there is no room in it:
//!
//! | what differs | exported | imported |
//! |---|---|---|
//! | an interface or a function is added | compatible | compatible, if the host offers it |
//! | an interface or a function is removed | incompatible | compatible |
//! | a function is async where it was not, or the other way round | incompatible | incompatible |
//! | a parameter or the result is added, removed, moved or of another type | incompatible | incompatible |
//! | a field of a record is added, removed, renamed, moved or of another type | incompatible | incompatible |
//! | a case of a variant or enum, or a flag, is added, removed, renamed, moved or has another payload | incompatible | incompatible |
//! | a parameter has another name | compatible | compatible |
//! | a type has another name and the same structure | compatible | compatible |
//! | a type is added or removed and the functions stay as they are | compatible | compatible |
//! | the version of an interface grows within what semver calls compatible | compatible | compatible |
//!
//! A case that is added to a result is as incompatible as one that is added
//! to a parameter: whoever reads it was compiled with the number of cases.

use super::{
    TypeChange,
    interfaces::{Interface, interface_name},
    render::{Member, Words, behind, describe_both, function_name, kind, members, noun, parameters},
};
use std::collections::{BTreeMap, HashMap};
use wit_parser::{Function, Handle, Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner};

/// More differences than anybody reads.
const MOST_CHANGES: usize = 200;

/// Which way an interface goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Import,
    Export,
}

/// Compares the types of two worlds and collects what differs.
pub(super) struct Differ<'a> {
    old: &'a Resolve,
    new: &'a Resolve,
    words: Words,
    /// Pairs that were compared: types share parts, and each is reported once.
    seen: HashMap<(TypeId, TypeId), Likeness>,
    changes: Vec<TypeChange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    Same,
    /// Different, and reported under the name of the type that differs.
    Reported,
    Different,
}

/// A difference between two lists of members.
struct Difference {
    text: String,
    only_a_name: bool,
}

impl<'a> Differ<'a> {
    pub(super) fn new(old: &'a Resolve, new: &'a Resolve, words: Words) -> Self {
        Self { old, new, words, seen: HashMap::new(), changes: Vec::new() }
    }

    /// What was found, in its order.
    pub(super) fn finish(self) -> Vec<TypeChange> {
        self.changes
    }

    /// Compares all interfaces of one side.
    pub(super) fn faces(
        &mut self,
        side: Side,
        old: &BTreeMap<String, Interface<'_>>,
        new: &BTreeMap<String, Interface<'_>>,
    ) {
        let way = match side {
            Side::Import => "imported",
            Side::Export => "exported",
        };
        for (track, face) in new {
            match old.get(track) {
                Some(before) => self.face(side, before, face),
                None => self.report(&face.name, "interface", format!("it is {way} now"), true),
            }
        }
        for (_, face) in old.iter().filter(|(track, _)| !new.contains_key(*track)) {
            self.report(&face.name, "interface", format!("it is not {way} any more"), side == Side::Import);
        }
    }

    /// Compares one interface: its types first, because what differs in one of
    /// them is reported under its name and not for each function that uses it.
    pub(super) fn face(&mut self, side: Side, old: &Interface<'_>, new: &Interface<'_>) {
        for (name, id) in &new.types {
            match old.types.get(name) {
                Some(before) => self.named_type(&new.name, name, *before, *id),
                None => self.lonely_type(&new.name, self.new, *id, Words::added),
            }
        }
        for (_, id) in old.types.iter().filter(|(name, _)| !new.types.contains_key(*name)) {
            self.lonely_type(&new.name, self.old, *id, Words::removed);
        }
        for (name, function) in &new.functions {
            match old.functions.get(name) {
                Some(before) => self.function(&new.name, before, function),
                None => {
                    let fits = self.words == Words::Before || side == Side::Export;
                    self.report(&new.name, &function_name(name), self.words.added("it"), fits);
                }
            }
        }
        for (name, _) in old.functions.iter().filter(|(name, _)| !new.functions.contains_key(*name)) {
            // A component uses as many of the host's functions as it likes.
            if self.words == Words::Before || side == Side::Export {
                self.report(&new.name, &function_name(name), self.words.removed("it"), side == Side::Import);
            }
        }
    }

    /// An interface with a name of the host's that the host does not have.
    pub(super) fn unknown_face(&mut self, side: Side, face: &Interface<'_>) {
        let text = match side {
            Side::Import => "it is not one that this host offers",
            Side::Export => "it is not one that this host calls",
        };
        self.report(&face.name, "interface", text.to_owned(), false);
    }

    fn report(&mut self, interface: &str, item: &str, change: String, compatible: bool) {
        if self.changes.len() < MOST_CHANGES {
            let (interface, item) = (interface.to_owned(), item.to_owned());
            self.changes.push(TypeChange { interface, item, change, compatible });
        }
    }

    /// A type that one side does not have: that alone breaks nobody.
    fn lonely_type(&mut self, interface: &str, resolve: &Resolve, id: TypeId, text: fn(Words, &str) -> String) {
        let Some(ty) = resolve.types.get(id) else { return };
        if self.words == Words::Before
            && let (Some(name), Some(kind)) = (&ty.name, kind(ty))
        {
            self.report(interface, &format!("{kind} {name}"), text(self.words, "it"), true);
        }
    }

    fn named_type(&mut self, interface: &str, name: &str, old: TypeId, new: TypeId) {
        let (old, new) = (Type::Id(old), Type::Id(new));
        if self.like(old, new) == Likeness::Different {
            let text = self.changed("it", Some(old), Some(new));
            self.report(interface, &format!("type {name}"), text, false);
        }
    }

    fn function(&mut self, interface: &str, old: &Function, new: &Function) {
        let item = function_name(&new.name);
        if old.kind.is_async() != new.kind.is_async() {
            let text = |function: &Function| if function.kind.is_async() { "async" } else { "not async" };
            let change = self.words.changed("it", text(old), text(new));
            self.report(interface, &item, change, false);
        }
        let (params, _) = self.members("parameter", &parameters(old), &parameters(new));
        for difference in params {
            self.report(interface, &item, difference.text, difference.only_a_name);
        }
        if self.like_optional(old.result, new.result) == Likeness::Different {
            let change = self.changed("its result", old.result, new.result);
            self.report(interface, &item, change, false);
        }
    }

    fn changed(&self, what: &str, old: Option<Type>, new: Option<Type>) -> String {
        let (old, new) = describe_both((self.old, old), (self.new, new));
        self.words.changed(what, &old, &new)
    }

    fn like_optional(&mut self, old: Option<Type>, new: Option<Type>) -> Likeness {
        match (old, new) {
            (Some(old), Some(new)) => self.like(old, new),
            (None, None) => Likeness::Same,
            _ => Likeness::Different,
        }
    }

    /// Whether two types have the same structure. Their depth is bounded by
    /// the validation of the component.
    fn like(&mut self, old: Type, new: Type) -> Likeness {
        match (behind(self.old, old), behind(self.new, new)) {
            (Type::Id(old), Type::Id(new)) => {
                if let Some(known) = self.seen.get(&(old, new)) {
                    return *known;
                }
                let likeness = self.like_defined(old, new);
                self.seen.insert((old, new), likeness);
                likeness
            }
            (old, new) if old == new => Likeness::Same,
            _ => Likeness::Different,
        }
    }

    fn like_defined(&mut self, old_id: TypeId, new_id: TypeId) -> Likeness {
        use TypeDefKind as Kind;
        let (Some(old), Some(new)) = (self.old.types.get(old_id), self.new.types.get(new_id)) else {
            return Likeness::Different;
        };
        if let (Some(old_members), Some(new_members)) = (members(&old.kind), members(&new.kind))
            && kind(old) == kind(new)
        {
            return self.like_named(new, &old_members, &new_members);
        }
        match (&old.kind, &new.kind) {
            (Kind::Resource, Kind::Resource) if old.name == new.name => Likeness::Same,
            (Kind::Handle(Handle::Own(old)), Kind::Handle(Handle::Own(new)))
            | (Kind::Handle(Handle::Borrow(old)), Kind::Handle(Handle::Borrow(new))) => {
                self.like(Type::Id(*old), Type::Id(*new))
            }
            (Kind::Tuple(old), Kind::Tuple(new)) if old.types.len() == new.types.len() => {
                self.like_all(old.types.iter().copied().zip(new.types.iter().copied()))
            }
            (Kind::Option(old), Kind::Option(new)) | (Kind::List(old), Kind::List(new)) => self.like(*old, *new),
            (Kind::FixedLengthList(old, before), Kind::FixedLengthList(new, now)) if before == now => {
                self.like(*old, *new)
            }
            (Kind::Map(old_key, old), Kind::Map(new_key, new)) => self.like_all([(*old_key, *new_key), (*old, *new)]),
            (Kind::Result(old), Kind::Result(new)) => {
                worse(self.like_optional(old.ok, new.ok), self.like_optional(old.err, new.err))
            }
            (Kind::Future(old), Kind::Future(new)) | (Kind::Stream(old), Kind::Stream(new)) => {
                self.like_optional(*old, *new)
            }
            _ => Likeness::Different,
        }
    }

    fn like_all(&mut self, pairs: impl IntoIterator<Item = (Type, Type)>) -> Likeness {
        pairs.into_iter().fold(Likeness::Same, |so_far, (old, new)| worse(so_far, self.like(old, new)))
    }

    /// Records, variants, enums and flags: what differs is reported under
    /// their name.
    fn like_named(&mut self, new: &TypeDef, old_members: &[Member<'_>], new_members: &[Member<'_>]) -> Likeness {
        let (kind, noun) = (kind(new).unwrap_or("type"), noun(&new.kind));
        let (differences, deeper) = self.members(noun, old_members, new_members);
        if differences.is_empty() {
            return deeper;
        }
        let interface = match new.owner {
            TypeOwner::Interface(id) => interface_name(self.new, id),
            _ => "the world".to_owned(),
        };
        let item = format!("{kind} {}", new.name.as_deref().unwrap_or("without a name"));
        for difference in differences {
            self.report(&interface, &item, difference.text, false);
        }
        Likeness::Reported
    }

    /// What differs between two lists of members, and whether there is a
    /// difference deeper inside that has been reported.
    fn members(&mut self, noun: &str, old: &[Member<'_>], new: &[Member<'_>]) -> (Vec<Difference>, Likeness) {
        let mut differences = Vec::new();
        let mut deeper = Likeness::Same;
        let places = |members: &[Member<'_>]| -> HashMap<String, usize> {
            members.iter().enumerate().map(|(place, member)| (member.name.to_owned(), place)).collect()
        };
        let (old_places, new_places) = (places(old), places(new));
        let mut renamed = HashMap::new();
        for (place, member) in new.iter().enumerate() {
            if let Some(before) = old_places.get(member.name).and_then(|place| old.get(*place)) {
                match self.like_optional(before.ty, member.ty) {
                    Likeness::Same => {}
                    Likeness::Reported => deeper = Likeness::Reported,
                    Likeness::Different => {
                        let text = self.changed(&format!("{noun} {}", member.name), before.ty, member.ty);
                        differences.push(Difference { text, only_a_name: false });
                    }
                }
                continue;
            }
            let before = old.get(place).filter(|before| !new_places.contains_key(before.name));
            match before {
                Some(before) if self.like_optional(before.ty, member.ty) == Likeness::Same => {
                    renamed.insert(before.name, member.name);
                    let text = self.words.renamed(noun, before.name, member.name);
                    differences.push(Difference { text, only_a_name: true });
                }
                _ => {
                    let text = self.words.added(&member.describe(noun, self.new));
                    differences.push(Difference { text, only_a_name: false });
                }
            }
        }
        for member in old.iter().filter(|old| !new_places.contains_key(old.name) && !renamed.contains_key(old.name)) {
            let text = self.words.removed(&member.describe(noun, self.old));
            differences.push(Difference { text, only_a_name: false });
        }
        let order = |members: &[Member<'_>], other: &HashMap<String, usize>| -> Vec<String> {
            members.iter().filter(|member| other.contains_key(member.name)).map(|m| m.name.to_owned()).collect()
        };
        if order(old, &new_places) != order(new, &old_places) {
            differences.push(Difference { text: self.words.moved(noun), only_a_name: false });
        }
        (differences, deeper)
    }
}

fn worse(one: Likeness, other: Likeness) -> Likeness {
    match (one, other) {
        (Likeness::Different, _) | (_, Likeness::Different) => Likeness::Different,
        (Likeness::Reported, _) | (_, Likeness::Reported) => Likeness::Reported,
        _ => Likeness::Same,
    }
}
