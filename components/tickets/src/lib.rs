//! Tickets for sale. Who may have one is decided by orders; this component
//! follows its events and keeps what is reserved from being edited.

pub mod domain;
mod events;
mod routes;
mod store;

ticketing_sdk::component! { http: routes::ROUTES, messaging: events::handle }
