//! The latency of an event: from the answer to `POST /api/orders` until the
//! ticket shows its holder, and, by the host's own metric, from its publication
//! to the start of its handler.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::client::{Connection, request};
use crate::load::{Effort, quantile};
use crate::market;
use crate::server::{Server, Setup};

/// The longest that one event may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The pause after an event, so that the next one finds the host idle.
const PAUSE: Duration = Duration::from_millis(30);

/// Times in milliseconds.
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// From just before the commit to the start of the handler.
    pub(crate) handler_p50: f64,
    pub(crate) handler_p99: f64,
}

pub(crate) async fn measure(effort: Effort) -> Result<Latency> {
    let setup = Setup::new("")?;
    of(setup.start().await?, effort).await
}

/// Measures a host that runs already, and stops it.
pub(crate) async fn of(host: Server, effort: Effort) -> Result<Latency> {
    let mut connection = Connection::open(host.address).await?;
    let (tickets, buyer) = market::open(&mut connection, host.address, effort.events).await?;

    let mut samples = Vec::new();
    for ticket in &tickets {
        tokio::time::sleep(PAUSE).await;
        let order = market::reserve(&mut connection, &buyer, ticket).await?;
        let begun = Instant::now();
        await_holder(&mut connection, ticket, &order.id).await?;
        samples.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    let waits = Waits::read(host.operator).await?;
    host.stop().await?;
    Ok(Latency {
        handler_p50: waits.quantile(0.5)?,
        handler_p99: waits.quantile(0.99)?,
        p50: quantile(&mut samples, 0.5)?,
        p99: quantile(&mut samples, 0.99)?,
        max: quantile(&mut samples, 1.0)?,
    })
}

/// The histogram of how long events waited for their handler: upper bounds in
/// milliseconds, and the number of events up to each bound.
struct Waits(Vec<(f64, f64)>);

impl Waits {
    /// Reads the histogram of the component `tickets`.
    async fn read(operator: SocketAddr) -> Result<Self> {
        const BUCKET: &str = "event_wait_seconds_bucket{component=\"tickets\",le=\"";
        let mut connection = Connection::open(operator).await?;
        let answer = connection.send(&request("GET", "/metrics", None, None)).await?;
        answer.expect(200)?;
        let buckets = std::str::from_utf8(answer.body)?.lines().filter_map(|line| line.strip_prefix(BUCKET));
        let bucket = |line: &str| {
            let (bound, count) = line.split_once("\"} ").context("a bucket without a value")?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse()? };
            Ok((bound * 1_000.0, count.parse()?))
        };
        Ok(Self(buckets.map(bucket).collect::<Result<_>>()?))
    }

    /// Interpolates linearly within a bucket, as Prometheus does.
    fn quantile(&self, part: f64) -> Result<f64> {
        let (_, all) = *self.0.last().context("no event was counted")?;
        ensure!(all > 0.0, "no event was handled");
        let (mut low, mut before) = (0.0, 0.0);
        for &(bound, count) in &self.0 {
            if count >= part * all {
                let place = (part * all - before) / (count - before);
                return Ok(if bound.is_finite() { low + (bound - low) * place } else { low });
            }
            (low, before) = (bound, count);
        }
        Ok(low)
    }
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
