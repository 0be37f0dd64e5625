//! The base of the tests: processes of the host, clients that send requests to
//! them, and access to their databases.

mod acknowledged;
mod bus;
mod client;
mod clock;
mod database;
mod destinations;
mod folders;
mod host;
mod idle;
mod live;
mod load;
mod market;
mod market_state;
mod payment_ledger;
mod plugins;
mod proxy;
mod reverse_proxy;
mod setup;
mod slow_request;

pub(crate) use acknowledged::Acknowledged;
pub(crate) use bus::Bus;
pub(crate) use client::{Client, PASSWORD, Reply};
pub(crate) use clock::MachineClock;
pub(crate) use database::{Database, edit_database, on_postgres};
pub(crate) use destinations::{LocalServer, hostile_authorities, hostile_paths};
pub(crate) use folders::{copy_folder, files_below};
pub(crate) use host::Host;
pub(crate) use host_test_support::{NatsServer, PATIENCE, PostgresServer, eventually, postgres};
pub(crate) use live::{Listening, radio, radio_host};
pub(crate) use load::Load;
pub(crate) use market::{Order, Status, Ticket, TicketStatus, unique};
pub(crate) use market_state::MarketState;
pub(crate) use plugins::{PluginFile, chameleon, chameleon_host, component, guest};
pub(crate) use proxy::{LinkState, Proxy};
pub(crate) use reverse_proxy::{Kind, ReverseProxy, SITE};
pub(crate) use setup::{ADMIN_TOKEN, PATIENT_COMPILER, Setup};
pub(crate) use slow_request::SlowRequest;
