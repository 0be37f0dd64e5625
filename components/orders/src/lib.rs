//! Reservations, and what becomes of them. Its database decides who has a
//! ticket; everybody else follows its events.

pub mod domain;
mod events;
mod routes;
mod store;

ticketing_sdk::component! { http: routes::ROUTES, messaging: events::handle }
