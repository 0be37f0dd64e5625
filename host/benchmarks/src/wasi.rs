//! Components of `wasi:http`, beside `wasmtime serve` of the same version with the same
//! file.

use std::sync::Arc;

use anyhow::Result;

use crate::client::request;
use crate::load::{Comparison, Effort};
use crate::server::{Server, Setup, guest};
use crate::side_by_side::compare;

/// A guest whose answer is a short text.
#[derive(Clone, Copy)]
pub(crate) enum Guest {
    /// Of `wasi:http` 0.2. Both servers make a fresh instance for each request.
    Asking,
    /// Of `wasi:http` 0.3.
    Streaming,
}

impl Guest {
    fn name(self) -> &'static str {
        match self {
            Self::Asking => "asking",
            Self::Streaming => "streaming",
        }
    }
}

pub(crate) async fn measure(kind: Guest, effort: Effort) -> Result<Comparison> {
    let name = kind.name();
    let file = guest(name)?;
    // Both may send requests, and send none here.
    let setup = Setup::of_guest(name, &["http"])?;
    let host = setup.start().await?;
    let wasmtime = Server::wasmtime(&file).await?;
    let requests = Arc::new([request("GET", &format!("/{name}/hello"), None, None)]);
    compare(wasmtime, host, requests, effort).await
}
