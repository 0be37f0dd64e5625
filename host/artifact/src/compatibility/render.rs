//! How types and their differences are put into words.

use host_base::text::cut;
use std::fmt::Write;
use wit_parser::{Function, Handle, Resolve, Type, TypeDef, TypeDefKind, TypeId};

/// A type's description is cut here.
const DESCRIPTION_BYTES: usize = 200;

/// What a component is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// With the revision before it.
    Before,
    /// With the host.
    Host,
}

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

impl Words {
    pub(super) fn added(self, what: &str) -> String {
        match self {
            Self::Before => format!("{what} is new"),
            Self::Host => format!("{what} is not the host's"),
        }
    }

    pub(super) fn removed(self, what: &str) -> String {
        match self {
            Self::Before => format!("{what} is gone"),
            Self::Host => format!("{what}, which the host has, is missing"),
        }
    }

    pub(super) fn changed(self, what: &str, old: &str, new: &str) -> String {
        match (self, what) {
            (Self::Before, "it") => format!("{old} is now {new}"),
            (Self::Before, _) => format!("{what}: {old} is now {new}"),
            (Self::Host, _) => format!("{what} is {new}, and in the host {old}"),
        }
    }

    pub(super) fn renamed(self, noun: &str, old: &str, new: &str) -> String {
        match self {
            Self::Before => format!("{noun} {old} is now called {new}"),
            Self::Host => format!("{noun} {new} is called {old} in the host"),
        }
    }

    pub(super) fn moved(self, noun: &str) -> String {
        match self {
            Self::Before => format!("the {noun}s have another order"),
            Self::Host => format!("the {noun}s have another order than in the host"),
        }
    }
}

/// `[method]request.body` as `method request.body`.
pub(super) fn function_name(name: &str) -> String {
    match name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((kind, name)) => format!("{kind} {name}"),
        None => format!("func {name}"),
    }
}

/// The members of a record, variant, enum or flags.
pub(super) fn members(kind: &TypeDefKind) -> Option<Vec<Member<'_>>> {
    Some(match kind {
        TypeDefKind::Record(record) => {
            record.fields.iter().map(|field| Member { name: &field.name, ty: Some(field.ty) }).collect()
        }
        TypeDefKind::Variant(variant) => {
            variant.cases.iter().map(|case| Member { name: &case.name, ty: case.ty }).collect()
        }
        TypeDefKind::Enum(cases) => cases.cases.iter().map(|case| Member { name: &case.name, ty: None }).collect(),
        TypeDefKind::Flags(flags) => flags.flags.iter().map(|flag| Member { name: &flag.name, ty: None }).collect(),
        _ => return None,
    })
}

/// The parameters of a function.
pub(super) fn parameters(function: &Function) -> Vec<Member<'_>> {
    function.params.iter().map(|param| Member { name: &param.name, ty: Some(param.ty) }).collect()
}

/// What the members of such a type are called.
pub(super) fn noun(kind: &TypeDefKind) -> &'static str {
    match kind {
        TypeDefKind::Record(_) => "field",
        TypeDefKind::Flags(_) => "flag",
        _ => "case",
    }
}

/// What a type with a name of its own is; none for one that is only another
/// name.
pub(super) fn kind(ty: &TypeDef) -> Option<&'static str> {
    match &ty.kind {
        TypeDefKind::Record(_) => Some("record"),
        TypeDefKind::Variant(_) => Some("variant"),
        TypeDefKind::Enum(_) => Some("enum"),
        TypeDefKind::Flags(_) => Some("flags"),
        TypeDefKind::Resource => Some("resource"),
        _ => None,
    }
}

/// The type that another name stands for.
pub(super) fn behind(resolve: &Resolve, mut ty: Type) -> Type {
    while let Type::Id(id) = ty
        && let Some(TypeDef { kind: TypeDefKind::Type(other), .. }) = resolve.types.get(id)
    {
        ty = *other;
    }
    ty
}

/// Two types so that they can be told apart, by their kinds if their names
/// are the same.
pub(super) fn describe_both(old: (&Resolve, Option<Type>), new: (&Resolve, Option<Type>)) -> (String, String) {
    let (old_text, new_text) = (describe(old.0, old.1), describe(new.0, new.1));
    if old_text != new_text {
        return (old_text, new_text);
    }
    let with_kind = |text: String, (resolve, ty): (&Resolve, Option<Type>)| match ty.map(|ty| behind(resolve, ty)) {
        Some(Type::Id(id)) => match resolve.types.get(id).and_then(kind) {
            Some(kind) => format!("{kind} {text}"),
            None => format!("another {text}"),
        },
        _ => text,
    };
    (with_kind(old_text, old), with_kind(new_text, new))
}

fn describe(resolve: &Resolve, ty: Option<Type>) -> String {
    let mut text = String::new();
    match ty {
        Some(ty) => write_type(&mut text, resolve, ty),
        None => text.push_str("nothing"),
    }
    if text.len() > DESCRIPTION_BYTES {
        text.truncate(cut(&text, DESCRIPTION_BYTES).len());
        text.push_str("...");
    }
    text
}

/// Stops when the text is long enough, so that the size of the type does not
/// matter.
fn write_type(text: &mut String, resolve: &Resolve, ty: Type) {
    if text.len() > DESCRIPTION_BYTES {
        return;
    }
    text.push_str(match behind(resolve, ty) {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(id) => return write_defined(text, resolve, id),
    });
}

fn write_defined(text: &mut String, resolve: &Resolve, id: TypeId) {
    let Some(ty) = resolve.types.get(id) else { return };
    if let (Some(name), Some(_)) = (&ty.name, kind(ty)) {
        return text.push_str(name);
    }
    let list = |text: &mut String, name: &str, types: &[Option<Type>]| {
        text.push_str(name);
        text.push('<');
        for (index, ty) in types.iter().enumerate() {
            if text.len() > DESCRIPTION_BYTES {
                break;
            }
            text.push_str(if index > 0 { ", " } else { "" });
            match ty {
                Some(ty) => write_type(text, resolve, *ty),
                None => text.push('_'),
            }
        }
        text.push('>');
    };
    match &ty.kind {
        TypeDefKind::Handle(Handle::Own(id)) => write_type(text, resolve, Type::Id(*id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => list(text, "borrow", &[Some(Type::Id(*id))]),
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<_> = tuple.types.iter().copied().map(Some).collect();
            list(text, "tuple", &types);
        }
        TypeDefKind::Option(ty) => list(text, "option", &[Some(*ty)]),
        TypeDefKind::Result(result) => list(text, "result", &[result.ok, result.err]),
        TypeDefKind::List(ty) => list(text, "list", &[Some(*ty)]),
        TypeDefKind::FixedLengthList(ty, length) => {
            list(text, "list", &[Some(*ty)]);
            // Writing to a string does not fail.
            let _ = write!(text, " of {length}");
        }
        TypeDefKind::Map(key, value) => list(text, "map", &[Some(*key), Some(*value)]),
        TypeDefKind::Future(ty) => list(text, "future", &[*ty]),
        TypeDefKind::Stream(ty) => list(text, "stream", &[*ty]),
        other => text.push_str(other.as_str()),
    }
}
