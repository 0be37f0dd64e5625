//! What makes a component run, besides requests: events and timers.
//!
//! Each component has a task for its events, one for its timers and one that
//! carries its outgoing events to the bus. They live as long as the component
//! is loaded, across revisions: which code handles an event or a timer is
//! asked anew each time.

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
