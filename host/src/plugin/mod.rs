//! A plugin's life, from a file to a revision that serves.
//!
//! [`artifact`] reads the file, [`manifest`] what it says of itself,
//! [`signature`] who made it, [`verdict`] what it would change,
//! [`loader`] checks and compiles it into a [`Revision`], and the
//! [`registry`] holds those that are active in one immutable snapshot. Which
//! those are, [`rollout`] decides, and the [`archive`] remembers.

pub mod archive;
pub mod artifact;
mod complexity_limits;
pub mod call_stats;
pub mod loader;
pub mod manifest;
pub mod registry;
pub mod revision;
pub mod rollout;
pub mod signature;
mod stream;
pub mod compatibility;
pub mod permissions;

pub use artifact::Artifact;
pub use loader::{LoadError, Loader};
pub use manifest::Manifest;
pub use registry::{Registry, Snapshot};
pub use revision::Revision;
pub use rollout::Rollout;
