//! Tests of whole hosts from outside. Each test starts its own processes of the
//! host, with their own data directories, and sends HTTP requests to them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod adversary;
mod api_description;
mod auth_limits;
mod clocks;
mod cluster;
mod console;
mod deploy;
mod dev;
mod edge;
mod examples;
mod fuzz;
mod hostile;
mod in_browser;
mod jetstream;
mod marketplace_words;
mod metric_series;
mod on_both_backends;
mod operator;
mod operator_figures;
mod operator_live_events;
mod operator_logs;
mod operator_openapi;
mod operator_roles;
mod operator_tokens;
mod operator_traces;
mod otlp;
mod plugin_cli;
mod postgres;
mod postgres_failover;
mod postgres_poolers;
mod proxies;
mod rate_limits;
mod requests;
mod start;
mod storefront;
mod support;
mod wasi;
mod wasi_http;
