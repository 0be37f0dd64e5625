//! Pieces of WebAssembly files. A test makes large files of bytes, because the
//! parser of the text format is slow on them.

use wasm_encoder::{Encode, RawSection, Section};

/// A number as the format stores it: LEB128, without a sign.
#[must_use]
pub fn number(value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

/// Bytes after their number.
#[must_use]
pub fn sized(content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    content.encode(&mut bytes);
    bytes
}

/// A section of a module or component.
#[must_use]
pub fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    RawSection { id, data: content }.append_to(&mut bytes);
    bytes
}

/// A core module with sections of one kind of item: the section's id, the number
/// of items, and one item.
#[must_use]
pub fn module(sections: &[(u8, usize, &[u8])]) -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    for (id, count, item) in sections {
        bytes.extend(section(*id, &[number(*count), item.repeat(*count)].concat()));
    }
    bytes
}
