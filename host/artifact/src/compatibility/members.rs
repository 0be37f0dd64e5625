//! The members of types and the parameters of functions.

use super::describe::describe;
use std::collections::HashMap;
use wit_parser::{Function, Resolve, Type, TypeDefKind};

/// A field, case, flag or parameter.
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    pub(super) ty: Option<Type>,
}

impl Member<'_> {
    pub(super) fn describe(&self, noun: &str, resolve: &Resolve) -> String {
        match self.ty {
            Some(ty) => format!("{noun} {}: {}", self.name, describe(resolve, Some(ty))),
            None => format!("{noun} {}", self.name),
        }
    }
}

/// The members of a type or the parameters of a function, with an index.
pub(super) struct Members<'a> {
    pub(super) list: Vec<Member<'a>>,
    positions: HashMap<&'a str, usize>,
}

impl<'a> Members<'a> {
    /// The members of a record, variant, enum or flags. `None` for other types.
    pub(super) fn of_type(kind: &'a TypeDefKind) -> Option<Self> {
        Some(Self::new(match kind {
            TypeDefKind::Record(record) => {
                record.fields.iter().map(|field| Member { name: &field.name, ty: Some(field.ty) }).collect()
            }
            TypeDefKind::Variant(variant) => {
                variant.cases.iter().map(|case| Member { name: &case.name, ty: case.ty }).collect()
            }
            TypeDefKind::Enum(cases) => cases.cases.iter().map(|case| Member { name: &case.name, ty: None }).collect(),
            TypeDefKind::Flags(flags) => flags.flags.iter().map(|flag| Member { name: &flag.name, ty: None }).collect(),
            _ => return None,
        }))
    }

    /// The parameters of a function.
    pub(super) fn of_function(function: &'a Function) -> Self {
        Self::new(function.params.iter().map(|param| Member { name: &param.name, ty: Some(param.ty) }).collect())
    }

    fn new(list: Vec<Member<'a>>) -> Self {
        let positions = list.iter().enumerate().map(|(position, member)| (member.name, position)).collect();
        Self { list, positions }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Member<'a>> {
        self.list.get(*self.positions.get(name)?)
    }

    pub(super) fn has(&self, member: &Member<'_>) -> bool {
        self.positions.contains_key(member.name)
    }

    /// The names that are also in the other list, in the order of this list.
    pub(super) fn common_names(&self, other: &Self) -> Vec<&'a str> {
        self.list.iter().filter(|member| other.has(member)).map(|member| member.name).collect()
    }
}

/// The word for a member of such a type.
pub(super) fn noun(kind: &TypeDefKind) -> &'static str {
    match kind {
        TypeDefKind::Record(_) => "field",
        TypeDefKind::Flags(_) => "flag",
        _ => "case",
    }
}
