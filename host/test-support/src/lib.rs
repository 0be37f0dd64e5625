//! Servers and helpers that the unit tests of the host's crates, the tests of
//! whole hosts and the benchmarks share.
//!
//! Every crate of the host may name this crate in its `dev-dependencies`. It
//! therefore depends on none of them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and so do its helpers"
)]

mod database;
mod forwarder;
mod kept_program;
mod nats;
mod pooler;
pub mod postgres;
mod registry;
mod tools;
pub mod wasm;

pub use database::{OpenTestDatabase, TestDatabase};
pub use forwarder::Forwarder;
pub use nats::NatsServer;
pub use pooler::{PoolMode, Pooler};
pub use postgres::PostgresServer;
pub use registry::OciRegistry;
pub use tools::{tool, tool_file};

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// How long a condition may take to become true on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Calls `ask` until its answer satisfies `holds`, and returns that answer.
/// Panics with `what` and the last answer after [`PATIENCE`].
pub async fn eventually<T: Debug>(what: &str, mut ask: impl AsyncFnMut() -> T, holds: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask().await;
        if holds(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}; the last answer was {answer:?}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
