//! Everything about wasmtime.

pub mod bindings;
