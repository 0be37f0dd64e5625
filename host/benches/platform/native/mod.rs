//! The baselines do the work of the components in plain axum and sqlx. Each is
//! this program in a process of its own, with the same async runtime and the
//! same settings as the host.

// The same handlers are compiled for both database engines.
#![expect(clippy::duplicate_mod, reason = "their rows and connections are of different types")]

pub(crate) mod embedded;
mod hello;
mod services;

use std::path::PathBuf;

use anyhow::Result;
use axum::Router;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// The place of a baseline's data.
pub(crate) enum Data {
    /// A SQLite file.
    File(PathBuf),
    /// The URLs of PostgreSQL and NATS.
    Services(String, String),
}

/// Serves until the input ends.
pub(crate) fn serve(kind: &str, data: &Data) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let router = router(kind, data).await?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("serving {}", listener.local_addr()?);
        let end_of_input = async { while matches!(tokio::io::stdin().read(&mut [0]).await, Ok(1..)) {} };
        tokio::select! {
            served = axum::serve(listener, router).into_future() => served?,
            () = end_of_input => {}
        }
        Ok(())
    })
}

async fn router(kind: &str, data: &Data) -> Result<Router> {
    match (kind, data) {
        ("hello", _) => Ok(hello::router()),
        (_, Data::File(file)) => embedded::router(kind, file).await,
        (_, Data::Services(database, nats)) => services::router(kind, database, nats).await,
    }
}
