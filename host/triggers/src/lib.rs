//! The triggers of components: HTTP requests, events and timers.
//!
//! Each component has a worker for its events, a worker for its timers, and a
//! relay that carries its outgoing events to the bus. They live as long as the
//! component is loaded, across revisions. They look up the active revision for
//! each event and each timer.

mod backlog;
pub mod client;
mod delivery;
pub mod http;
mod messaging;
mod redelivery;
mod relay;
mod timers;
mod workers;

pub use redelivery::{RedeliverError, Redelivery};
pub use workers::{DRAIN, Triggers};
