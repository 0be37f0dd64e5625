//! A plugin's life, from a file to a revision that serves.
//!
//! [`loader`] checks and compiles a file into a [`Revision`], and the
//! [`registry`] holds those that are active in one immutable snapshot. Which
//! those are, [`rollout`] decides, and the [`archive`] remembers.

pub mod archive;
pub mod call_stats;
mod handler;
pub mod invocation;
pub mod loader;
pub mod registry;
pub mod revision;
pub mod rollout;
mod stream;

pub use invocation::Invocation;
pub use loader::{LoadError, Loader};
pub use registry::{Registry, Snapshot};
pub use revision::Revision;
pub use rollout::Rollout;
