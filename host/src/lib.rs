//! A host for WebAssembly components.

pub mod capability;
pub mod cli;
pub mod clock;
pub mod config;
pub mod database;
pub mod engine;
pub mod telemetry;
pub mod trigger;
