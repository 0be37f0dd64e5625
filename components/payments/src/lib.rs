//! Charges orders, once.
//!
//! Money is authorized while the buyer waits, and captured when the order is
//! complete, or let go when it is cancelled. Each step is recorded before and
//! after the provider is asked, under a key of its own, and a durable timer
//! finishes what was left open: see [`domain::Attempt::next`].

pub mod domain;
mod events;
mod routes;
mod settle;
mod store;

ticketing_sdk::component! { http: routes::ROUTES, messaging: events::handle, timers: settle::on_timer }
