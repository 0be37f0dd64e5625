//! The baselines do the work of the components in plain axum and sqlx. Each is
//! this program in a process of its own, with the same async runtime and the
//! same settings as the host.

// The same handlers are compiled for both database engines.
#![expect(clippy::duplicate_mod, reason = "their rows and connections are of different types")]

mod duties;
pub(crate) mod embedded;
mod hello;
mod services;

use std::path::PathBuf;

use anyhow::Result;
use axum::Router;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// The baseline of `hello` that has the duties of the host.
pub(crate) const DUTIES: &str = "hello-duties";
/// The baseline of `hello` that serves HTTP/2.
pub(crate) const HTTP2: &str = "hello-http2";

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
        let (router, _log) = match (kind, data) {
            (DUTIES, Data::File(folder)) => duties::router(folder).map(|(router, log)| (router, Some(log)))?,
            _ => (router(kind, data).await?, None),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("serving {}", listener.local_addr()?);
        let end_of_input = async { while matches!(tokio::io::stdin().read(&mut [0]).await, Ok(1..)) {} };
        let served = async {
            match kind {
                HTTP2 => http2(&listener, router).await,
                _ => axum::serve(listener, router).await,
            }
        };
        tokio::select! {
            served = served => served?,
            () = end_of_input => {}
        }
        Ok(())
    })
}

/// Serves HTTP/2 with the limits that hyper has by itself.
async fn http2(listener: &TcpListener, router: Router) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        let served = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move { drop(served.await) });
    }
}

async fn router(kind: &str, data: &Data) -> Result<Router> {
    match (kind, data) {
        ("hello" | HTTP2, _) => Ok(hello::router()),
        (_, Data::File(file)) => embedded::router(kind, file).await,
        (_, Data::Services(database, nats)) => services::router(kind, database, nats).await,
    }
}
