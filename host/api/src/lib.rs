//! The data types of the operator API, each defined once: the operator listener
//! writes them, its OpenAPI document describes them, and `ticketing plugin`
//! reads them.
//!
//! A client may be older or newer than its host. Therefore:
//!
//! - A client ignores fields that it does not know.
//! - A host never stops sending a field. A field that is added later, or that a
//!   host may leave out, has a default.
//! - A word that may get more values is a [`Word`] where a client reads it.
//! - A host refuses a request with a field that it does not know. So a client
//!   that asks for something new never gets only a part of it.

pub mod audit;
pub mod cluster;
pub mod dead_letters;
pub mod error;
pub mod events;
pub mod figures;
pub mod logs;
pub mod plugins;
pub mod policy;
pub mod revisions;
pub mod settings;
pub mod swap;
pub mod timers;
pub mod tokens;
pub mod traces;
pub mod verdict;
mod word;

pub use word::Word;
