//! A plugin's life, from a file to a revision that serves.
//!
//! [`loader`] makes a [`Revision`] of a file. The [`registry`] holds the active
//! revisions in one immutable snapshot. [`rollout`] decides which revisions are
//! active, and the [`archive`] keeps these decisions. The [`policies`] say what a
//! plugin may do. Every call of a revision is an [`Invocation`]. The host's own
//! [`figures`] tell how a plugin does.

pub mod archive;
pub mod budgets;
pub mod call_stats;
pub mod delivery_rates;
pub mod disk_quotas;
pub mod failure_log;
pub mod figures;
mod handler;
pub mod history;
pub mod invocation;
pub mod loader;
pub mod policies;
pub mod registry;
pub mod revision;
pub mod rollout;
mod stream;

pub use failure_log::{Called, Work};
pub use invocation::Invocation;
pub use loader::{LoadError, Loader};
pub use policies::Policies;
pub use registry::{Registry, Snapshot};
pub use revision::Revision;
pub use rollout::Rollout;
pub use stream::StreamedRequest;
