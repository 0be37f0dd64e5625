//! What the tests stand on: processes of the host, clients of them, and a look
//! into their databases.

mod bus;
mod client;
mod clock;
mod database;
mod host;
mod ledger;
mod market;
mod plugins;
mod proxy;
mod settled;
mod setup;

pub(crate) use bus::Bus;
pub(crate) use client::{Client, PASSWORD, Reply};
pub(crate) use clock::MachineClock;
pub(crate) use database::{Database, edit_database, on_postgres};
pub(crate) use host::Host;
pub(crate) use host_test_support::{NatsServer, PATIENCE, PostgresServer, eventually, postgres};
pub(crate) use market::{Order, Status, Ticket, unique};
pub(crate) use plugins::{PluginFile, chameleon, component, empty, empty_host, guest};
pub(crate) use proxy::{Proxy, Way};
pub(crate) use setup::{ADMIN_TOKEN, Setup};
