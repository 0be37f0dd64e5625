//! A host for WebAssembly components. It routes requests by their manifests,
//! gives them the capabilities that they import, and swaps any one of them
//! while it serves.
//!
//! This crate opens the parts of the host in order and connects them: read
//! [`host`] from the top. Each layer below is a crate of its own, and its
//! `Cargo.toml` says which layers it uses.

pub mod data_dir;
pub mod host;
pub mod process_limits;
pub mod shutdown;
pub mod temporary_files;
