//! Tickets for sale. The component `orders` decides which order gets a ticket.
//! This component applies its events, and refuses changes to reserved tickets.

mod agreement;
pub mod domain;
mod events;
mod index;
mod routes;
mod search;
mod settlement;
mod store;
pub mod terms;
mod withdrawal;

ticketing_sdk::component! { http: routes::ROUTES, messaging: events::handle, timers: index::on_timer }
