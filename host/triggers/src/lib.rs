//! The triggers of components: HTTP requests, events and timers.
//!
//! Each component has a worker for its events, a worker for its timers, and a
//! relay that publishes its outgoing events on the bus. They live as long as the
//! component is loaded, across revisions. They look up the active revision for
//! each event and each timer.

mod backlog;
pub mod client;
mod delivery;
mod event_worker;
pub mod http;
mod redelivery;
mod relay;
mod schedules;
mod timer_worker;
mod workers;

pub use redelivery::{RedeliverError, Redelivery};
pub use workers::{DRAIN_TIMEOUT, Triggers};
