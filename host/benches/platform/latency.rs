//! How long an event takes: from the answer to `POST /api/orders` to the
//! moment when the ticket shows who holds it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::client::{Connection, request};
use crate::load::{Effort, quantile};
use crate::market;
use crate::server::{Server, Setup};

/// What one event may take at all.
const LIMIT: Duration = Duration::from_secs(10);
/// What follows an event, so that the next one finds the host idle.
const PAUSE: Duration = Duration::from_millis(30);

/// Milliseconds.
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

pub(crate) async fn measure(effort: Effort) -> Result<Latency> {
    let setup = Setup::new("")?;
    of(setup.start().await?, effort).await
}

/// The same of a host that runs already. Ends it.
pub(crate) async fn of(host: Server, effort: Effort) -> Result<Latency> {
    let mut connection = Connection::open(host.address).await?;
    let seller = market::sign_up(&mut connection, "seller@example.com").await?;
    let buyer = market::sign_up(&mut connection, "buyer@example.com").await?;
    let tickets = market::sell(host.address, &seller, effort.events).await?;
    market::await_replication(host.address, &seller).await?;

    let mut samples = Vec::new();
    for ticket in &tickets {
        tokio::time::sleep(PAUSE).await;
        let order = market::reserve(&mut connection, &buyer, ticket).await?;
        let begun = Instant::now();
        await_holder(&mut connection, ticket, &order.id).await?;
        samples.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    host.stop().await?;
    Ok(Latency {
        p50: quantile(&mut samples, 0.5)?,
        p99: quantile(&mut samples, 0.99)?,
        max: quantile(&mut samples, 1.0)?,
    })
}

async fn await_holder(connection: &mut Connection, ticket: &str, order: &str) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Ticket {
        order_id: Option<String>,
    }

    let request = request("GET", &format!("/api/tickets/{ticket}"), None, None);
    let begun = Instant::now();
    loop {
        let seen: Ticket = connection.send(&request).await?.json(200)?;
        if seen.order_id.as_deref() == Some(order) {
            return Ok(());
        }
        ensure!(begun.elapsed() < LIMIT, "the event never arrived");
    }
}
