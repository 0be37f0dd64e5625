//! Describes types in the words of WIT.

use host_base::text::truncate;
use std::fmt::Write;
use wit_parser::{Handle, Resolve, Type, TypeDef, TypeDefKind, TypeId};

/// The length at which a description is cut.
const MAX_DESCRIPTION_BYTES: usize = 200;

/// Writes `[method]request.body` as `method request.body`.
pub(super) fn function_name(name: &str) -> String {
    match name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((kind, name)) => format!("{kind} {name}"),
        None => format!("func {name}"),
    }
}

/// The kind of a type that has its own name. `None` for a type that is an alias or
/// has no name.
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

/// Resolves an alias to its type.
pub(super) fn resolve_alias(resolve: &Resolve, mut ty: Type) -> Type {
    while let Type::Id(id) = ty
        && let Some(TypeDef { kind: TypeDefKind::Type(other), .. }) = resolve.types.get(id)
    {
        ty = *other;
    }
    ty
}

/// Describes two different types. If their names are the same, the descriptions
/// contain their kinds.
pub(super) fn describe_both(old: (&Resolve, Option<Type>), new: (&Resolve, Option<Type>)) -> (String, String) {
    let (old_text, new_text) = (describe(old.0, old.1), describe(new.0, new.1));
    if old_text != new_text {
        return (old_text, new_text);
    }
    let with_kind =
        |text: String, (resolve, ty): (&Resolve, Option<Type>)| match ty.map(|ty| resolve_alias(resolve, ty)) {
            Some(Type::Id(id)) => match resolve.types.get(id).and_then(kind) {
                Some(kind) => format!("{kind} {text}"),
                None => format!("another {text}"),
            },
            _ => text,
        };
    (with_kind(old_text, old), with_kind(new_text, new))
}

/// Describes a type. `None` is the type of a function or case without a value.
pub(super) fn describe(resolve: &Resolve, ty: Option<Type>) -> String {
    let mut text = String::new();
    match ty {
        Some(ty) => write_type(&mut text, resolve, ty),
        None => text.push_str("nothing"),
    }
    if text.len() > MAX_DESCRIPTION_BYTES {
        text.truncate(truncate(&text, MAX_DESCRIPTION_BYTES).len());
        text.push_str("...");
    }
    text
}

/// Stops when the text is long enough, because a type can be very large.
fn write_type(text: &mut String, resolve: &Resolve, ty: Type) {
    if text.len() > MAX_DESCRIPTION_BYTES {
        return;
    }
    text.push_str(match resolve_alias(resolve, ty) {
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
    match &ty.kind {
        TypeDefKind::Handle(Handle::Own(id)) => write_type(text, resolve, Type::Id(*id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => write_generic(text, resolve, "borrow", &[Some(Type::Id(*id))]),
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<_> = tuple.types.iter().copied().map(Some).collect();
            write_generic(text, resolve, "tuple", &types);
        }
        TypeDefKind::Option(ty) => write_generic(text, resolve, "option", &[Some(*ty)]),
        TypeDefKind::Result(result) => write_generic(text, resolve, "result", &[result.ok, result.err]),
        TypeDefKind::List(ty) => write_generic(text, resolve, "list", &[Some(*ty)]),
        TypeDefKind::FixedLengthList(ty, length) => {
            write_generic(text, resolve, "list", &[Some(*ty)]);
            // A write to a string cannot fail.
            let _ = write!(text, " of {length}");
        }
        TypeDefKind::Map(key, value) => write_generic(text, resolve, "map", &[Some(*key), Some(*value)]),
        TypeDefKind::Future(ty) => write_generic(text, resolve, "future", &[*ty]),
        TypeDefKind::Stream(ty) => write_generic(text, resolve, "stream", &[*ty]),
        other => text.push_str(other.as_str()),
    }
}

fn write_generic(text: &mut String, resolve: &Resolve, name: &str, arguments: &[Option<Type>]) {
    text.push_str(name);
    text.push('<');
    for (index, ty) in arguments.iter().enumerate() {
        if text.len() > MAX_DESCRIPTION_BYTES {
            break;
        }
        text.push_str(if index > 0 { ", " } else { "" });
        match ty {
            Some(ty) => write_type(text, resolve, *ty),
            None => text.push('_'),
        }
    }
    text.push('>');
}
