//! Charges each order once.
//!
//! The provider authorizes the charge while the buyer waits. It captures the
//! money when the order is complete, and voids the authorization when the order
//! is cancelled. This component records each call to the provider before and
//! after it, and each call has its own idempotency key. A durable timer finishes
//! a call that was left open: see [`domain::Attempt::next_operation`].

pub mod domain;
mod events;
mod provider;
mod reconcile;
mod routes;
mod status;
mod store;

ticketing_sdk::component! { http: routes::ROUTES, messaging: events::handle, timers: reconcile::on_timer }
