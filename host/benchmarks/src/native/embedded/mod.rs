//! The baselines on a SQLite file.

mod database;
#[path = "../purchase/mod.rs"]
mod purchase;
#[path = "../ticket.rs"]
mod ticket;
pub(crate) mod tickets;

use std::path::Path;

use anyhow::{Result, bail};
use axum::Router;

use database::Database;

pub(super) async fn router(kind: &str, file: &Path) -> Result<Router> {
    match kind {
        "tickets" => tickets::router(file).await,
        "purchase" => purchase::router(Database::open(file).await?).await,
        _ => bail!("no baseline on a file is called {kind}"),
    }
}
