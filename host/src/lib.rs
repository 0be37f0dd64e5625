//! A host for WebAssembly components that is told by their manifests what to
//! route to them, gives them what their world imports, and can change any one
//! of them while it serves.
//!
//! Read [`host`] top-down to see what there is: settings ([`config`]), what
//! components may import ([`capability`]), how they run ([`engine`]), what
//! they are ([`plugin`]), what makes them run ([`trigger`]), and what operators
//! see ([`operator`]).

pub mod capability;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod database;
pub mod engine;
pub mod envelope;
pub mod host;
pub mod id;
pub mod operator;
pub mod plugin;
pub mod telemetry;
mod text;
pub mod trigger;

#[cfg(test)]
use host_test_support::postgres as test_postgres;
