//! Reads and judges a plugin file without running it.
//!
//! [`artifact`] reads the file, [`manifest`] its `plugin.toml`, [`ApiPart`] its description of the API, and
//! [`EventSchemas`] the schemas of its events.
//! `complexity_limits` bounds the contents of the file, `footprint` adds up what an
//! instance needs, [`permissions`] checks its imports, and [`compatibility`] compares it with the active revision.
//! [`Schedule`] computes the times of its schedules. [`policy`] compares its requests
//! with the rights of the plugin's name, and [`routes`] finds patterns that match the same path.

mod api_part;
pub mod artifact;
pub mod compatibility;
mod complexity_limits;
mod event_schemas;
mod footprint;
mod interface_names;
pub mod kind;
pub mod manifest;
mod messaging;
pub mod permissions;
pub mod policy;
pub mod routes;
mod schedule;
mod shape;

pub use api_part::ApiPart;
pub use artifact::Artifact;
pub use event_schemas::EventSchemas;
pub use footprint::Footprint;
pub use interface_names::InterfaceNames;
pub use kind::ComponentKind;
pub use manifest::Manifest;
pub use schedule::Schedule;
