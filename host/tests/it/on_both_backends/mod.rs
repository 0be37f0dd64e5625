//! Tests of behaviour that is the same on every database and every bus.
//!
//! `cargo xtask test` runs these tests twice: with SQLite and the embedded bus,
//! and with PostgreSQL and NATS JetStream. The name of this module is the
//! property that selects them for the second pass. A test in this module
//! therefore starts its hosts from
//! [`Setup::new`](crate::support::Setup::new) and leaves the choice of both to
//! the pass. A test that chooses a backend itself, or that depends on neither,
//! belongs outside, because it needs to run only once.

mod adversary;
mod auth;
mod backup;
mod crash;
mod dead_letters;
mod edits;
mod event_schemas;
mod events;
mod every_route;
mod expiry;
mod idempotency;
mod lists;
mod live;
mod migrations;
mod order_versions;
mod orders;
mod payment_answers;
mod payment_faults;
mod payments;
mod payments_stripe;
mod plugins;
mod purchase;
mod races;
mod requests;
mod search;
mod sessions;
mod settings;
mod texts;
mod ticket_status;
mod tickets;
mod tracing;
mod unpaid_orders;
mod withdrawals;
