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

mod auth_limits;
mod clocks;
mod cluster;
mod deploy;
mod dev;
mod foreign;
mod host_knows_nothing;
mod hostile;
mod jetstream;
mod metric_series;
mod on_both_backends;
mod operator;
mod operator_document;
mod operator_logs;
mod operator_roles;
mod operator_tokens;
mod otlp;
mod plugin_cli;
mod postgres;
mod storefront;
mod storefront_browser;
mod support;
