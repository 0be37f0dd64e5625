//! Tests that hold whatever a host keeps its state in and whatever carries its
//! events.
//!
//! The name of this module is the property by which `cargo xtask test` selects
//! them for its second pass: first each host has SQLite and the embedded bus,
//! then PostgreSQL and NATS JetStream. A test in this module therefore starts
//! its hosts from [`Setup::new`](crate::support::Setup::new) and leaves the
//! choice of both to the run. A test that chooses a backend itself, or that
//! depends on neither, belongs outside: once is enough for it.

mod auth;
mod backup;
mod crash;
mod dead_letters;
mod envelope;
mod events;
mod expiry;
mod lists;
mod migrations;
mod orders;
mod payment_faults;
mod payments;
mod payments_stripe;
mod plugins;
mod purchase;
mod races;
mod sessions;
mod settings;
mod tickets;
mod tracing;
