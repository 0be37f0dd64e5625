//! The baselines: what the components do, in plain axum and sqlx. Each is
//! this program again in a process of its own, on the same runtime and with
//! the same settings as the host has.

mod database;
mod hello;
mod purchase;
pub(crate) mod tickets;

use std::path::Path;

use anyhow::{Result, bail};
use axum::Router;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// Serves until the input ends.
pub(crate) fn serve(kind: &str, file: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let router = router(kind, file).await?;
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

async fn router(kind: &str, file: &Path) -> Result<Router> {
    match kind {
        "hello" => Ok(hello::router()),
        "tickets" => tickets::router(file).await,
        "purchase" => purchase::router(file).await,
        _ => bail!("no baseline is called {kind}"),
    }
}
