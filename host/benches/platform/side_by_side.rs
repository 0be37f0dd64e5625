//! Two servers with the same answers, under the same load in turns.

use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::client::Connection;
use crate::load::{Comparison, Effort, in_turns, send_for};
use crate::server::Server;

/// Checks that both servers give the same answers to these requests, compares
/// their rates, and stops both.
pub(crate) async fn compare(
    native: Server,
    host: Server,
    requests: Arc<[Vec<u8>]>,
    effort: Effort,
) -> Result<Comparison> {
    for request in requests.iter() {
        same_bytes(&native, &host, request).await?;
    }
    send_for(effort.warm_up, &native, &requests).await?;
    send_for(effort.warm_up, &host, &requests).await?;
    let comparison = in_turns(
        effort.rounds,
        async || send_for(effort.round, &native, &requests).await,
        async || send_for(effort.round, &host, &requests).await,
    )
    .await?;
    native.stop().await?;
    host.stop().await?;
    Ok(comparison)
}

async fn same_bytes(native: &Server, host: &Server, request: &[u8]) -> Result<()> {
    let (mut one, mut other) = (Connection::open(native.address).await?, Connection::open(host.address).await?);
    let (one, other) = (one.send(request).await?, other.send(request).await?);
    one.expect(200)?;
    other.expect(200)?;
    ensure!(
        one.body == other.body,
        "the baseline answers {} and the host {}",
        String::from_utf8_lossy(one.body),
        String::from_utf8_lossy(other.body)
    );
    Ok(())
}
