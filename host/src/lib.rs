//! A host for WebAssembly components that is told by their manifests what to
//! route to them, gives them what their world imports, and can change any one
//! of them while it serves.
//!
//! This crate opens what there is, in order, and wires it: read [`host`]
//! top-down. The layers below it are crates of their own; what each may use is
//! in its `Cargo.toml`.

pub mod host;
