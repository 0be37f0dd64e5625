//! A plugin's file, without running it.
//!
//! [`artifact`] reads the file, [`manifest`] holds what it says of itself,
//! [`complexity_limits`] bound what it may contain, [`permissions`] say which
//! grant an import takes, and [`compatibility`] compares it with the revision
//! that serves.

pub mod artifact;
pub mod compatibility;
mod complexity_limits;
pub mod kind;
pub mod manifest;
pub mod permissions;

pub use artifact::Artifact;
pub use kind::Kind;
pub use manifest::Manifest;
