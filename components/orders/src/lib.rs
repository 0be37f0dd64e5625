//! Reservations of tickets, and their cancellation, expiry and completion. The
//! database of this component decides which order gets a ticket. The other
//! components apply its events.

pub mod domain;
mod events;
mod holds;
mod routes;
mod seen;
mod store;

ticketing_sdk::component! { http: routes::ROUTES, messaging: events::handle }
