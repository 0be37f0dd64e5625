//! Two servers with the same answers, under the same load in turns.

use anyhow::{Result, ensure};

use crate::client::Connection;
use crate::load::{Comparison, Effort, Requests, in_turns, send_for};
use crate::server::Server;

/// Checks that both servers give the same answers to these requests, compares
/// their rates, and stops both.
pub(crate) async fn compare(native: Server, host: Server, requests: Requests, effort: Effort) -> Result<Comparison> {
    for request in requests.iter() {
        same_bytes(&native, &host, request).await?;
    }
    in_turns_on((native, requests.clone()), (host, requests), effort).await
}

/// Compares the rates of two servers, each with its requests, and stops both.
pub(crate) async fn in_turns_on(
    (one, ones): (Server, Requests),
    (other, others): (Server, Requests),
    effort: Effort,
) -> Result<Comparison> {
    send_for(effort.warm_up, &one, &ones).await?;
    send_for(effort.warm_up, &other, &others).await?;
    let comparison = in_turns(
        effort.rounds,
        async || send_for(effort.round, &one, &ones).await,
        async || send_for(effort.round, &other, &others).await,
    )
    .await?;
    one.stop().await?;
    other.stop().await?;
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
