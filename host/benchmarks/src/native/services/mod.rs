//! The baseline on PostgreSQL and NATS JetStream.

mod database;
#[path = "../purchase/mod.rs"]
mod purchase;
#[path = "../ticket.rs"]
mod ticket;

use anyhow::{Result, bail};
use axum::Router;

use database::Database;

pub(super) async fn router(kind: &str, database: &str, nats: &str) -> Result<Router> {
    match kind {
        "purchase" => purchase::router(Database::open(database, nats).await?).await,
        _ => bail!("no baseline on services is called {kind}"),
    }
}
