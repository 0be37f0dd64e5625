//! The whole system from outside: processes of the host that carry all
//! components, asked over HTTP. Each test has a process and a data directory of
//! its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

mod auth;
mod auth_limits;
mod clocks;
mod cluster;
mod crash;
mod deploy;
mod dev;
mod envelope;
mod events;
mod expiry;
mod foreign;
mod host_knows_nothing;
mod hostile;
mod jetstream;
mod lists;
mod migrations;
mod operator;
mod operator_document;
mod operator_logs;
mod operator_roles;
mod operator_tokens;
mod orders;
mod otlp;
mod payment_faults;
mod payments;
mod payments_stripe;
mod plugin_cli;
mod plugins;
mod postgres;
mod purchase;
mod races;
mod sessions;
mod settings;
mod storefront;
mod storefront_browser;
mod tickets;
mod tracing;
