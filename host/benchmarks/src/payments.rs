//! The time of the answer to a payment. The order is complete by then.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::client::Connection;
use crate::load::{Effort, quantile};
use crate::server::{Server, Setup};
use crate::{market, purchase};

/// The pause before a payment. The host is idle then, and `payments` knows the order.
const PAUSE: Duration = Duration::from_millis(50);

/// Times in milliseconds.
pub(crate) struct Answers {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

pub(crate) async fn measure(effort: Effort) -> Result<Answers> {
    let setup = Setup::new("")?;
    of(setup.start().await?, effort).await
}

/// Measures a host that runs already, and stops it.
pub(crate) async fn of(host: Server, effort: Effort) -> Result<Answers> {
    let mut connection = Connection::open(host.address).await?;
    let (tickets, buyer) = market::open(&mut connection, host.address, effort.events).await?;

    let mut samples = Vec::new();
    for ticket in &tickets {
        let order = market::reserve(&mut connection, &buyer, ticket).await?;
        tokio::time::sleep(PAUSE).await;
        let begun = Instant::now();
        purchase::pay(&mut connection, &buyer, &order.id).await?;
        samples.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    host.stop().await?;
    Ok(Answers {
        p50: quantile(&mut samples, 0.5)?,
        p99: quantile(&mut samples, 0.99)?,
        max: quantile(&mut samples, 1.0)?,
    })
}
