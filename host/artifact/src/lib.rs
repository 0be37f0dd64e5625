//! Reads and judges a plugin file without running it.
//!
//! [`artifact`] reads the file and [`manifest`] its `plugin.toml`.
//! `complexity_limits` bounds the contents of the file, [`permissions`] checks
//! its imports, and [`compatibility`] compares it with the active revision.

pub mod artifact;
pub mod compatibility;
mod complexity_limits;
pub mod kind;
pub mod manifest;
pub mod permissions;

pub use artifact::Artifact;
pub use kind::ComponentKind;
pub use manifest::Manifest;
