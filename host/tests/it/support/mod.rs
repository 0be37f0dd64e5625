//! What the tests stand on: processes of the host, clients of them, and a look
//! into their databases.

mod bus;
mod client;
mod clock;
mod database;
mod host;
mod ledger;
mod market;
pub(crate) mod nats;
mod plugins;
pub(crate) mod postgres;
mod proxy;
mod settled;
mod setup;

pub(crate) use bus::Bus;
pub(crate) use client::{Client, PASSWORD, Reply};
pub(crate) use clock::MachineClock;
pub(crate) use database::{Database, edit_database, on_postgres};
pub(crate) use host::Host;
pub(crate) use market::{Order, Status, Ticket, unique};
pub(crate) use nats::NatsServer;
pub(crate) use plugins::{PluginFile, chameleon, component, empty, empty_host, guest};
pub(crate) use proxy::{Proxy, Way};
pub(crate) use setup::{ADMIN_TOKEN, Setup};

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// How long a condition may take to come true on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Asks again and again until the condition holds, and panics with the last
/// answer when it does not in time.
pub(crate) async fn eventually<T: Debug>(what: &str, mut ask: impl AsyncFnMut() -> T, holds: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask().await;
        if holds(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}; the last answer was {answer:?}");
        tokio::time::sleep(POLL).await;
    }
}
