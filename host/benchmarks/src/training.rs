//! The load from which a release learns. The compiler has added counters to the host,
//! and the host writes them to a file when it ends.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::client::request;
use crate::edge::reads;
use crate::hello::browser_requests;
use crate::load::{Requests, send_for};
use crate::purchase::warm_up;
use crate::server::Setup;

/// Guests with a path that they answer: components of `platform:http`, with instances that
/// are used again and with fresh ones, and components of both versions of `wasi:http`.
const GUESTS: [(&str, &str); 4] = [
    ("hello", "/hello"),
    ("hello-fresh", "/hello-fresh"),
    ("asking", "/asking/hello"),
    ("streaming", "/streaming/hello"),
];
const LENGTH: Duration = Duration::from_secs(4);

/// Puts load on a host that counts. Its figures say nothing, because counting takes long.
pub(crate) async fn run(program: &Path) -> Result<()> {
    for (name, path) in GUESTS {
        let setup = Setup::of_guest(name, &["http"])?.of_build(program);
        let (host, requests): (_, Requests) = (setup.start().await?, Arc::new([request("GET", path, None, None)]));
        send_for(LENGTH, &host, &requests).await?;
        host.end().await?;
    }
    let setup = Setup::with_guest("hello")?.of_build(program);
    let host = setup.start().await?;
    for requests in [browser_requests(&host).await?, reads(&host).await?] {
        send_for(LENGTH, &host, &requests).await?;
    }
    host.end().await?;

    let setup = Setup::new("")?.of_build(program);
    warm_up(setup.start().await?).await?.end().await
}
