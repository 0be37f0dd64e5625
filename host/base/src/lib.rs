//! What every layer of the host stands on and what needs nothing of the host
//! itself: the clock, identifiers, secrets, events as values, texts of a
//! bounded length, and what differs between the engines of databases.

pub mod clock;
pub mod dialect;
pub mod event;
pub mod id;
pub mod secret;
pub mod text;

pub use dialect::Dialect;
pub use event::Event;
pub use secret::Secret;
