//! Load on one server, and the comparison of two in turns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::client::Connection;

/// Connections that send one request after another.
const CONNECTIONS: usize = 32;

/// How often, and for how long, something is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
    pub(crate) warm_up: Duration,
    /// Orders whose event is timed.
    pub(crate) events: usize,
    /// Purchases of one round.
    pub(crate) purchases: usize,
    pub(crate) starts: usize,
}

impl Effort {
    pub(crate) const FULL: Self = Self {
        rounds: 7,
        round: Duration::from_secs(3),
        warm_up: Duration::from_secs(2),
        events: 200,
        purchases: 120,
        starts: 7,
    };

    pub(crate) const QUICK: Self = Self {
        rounds: 3,
        round: Duration::from_secs(1),
        warm_up: Duration::from_millis(500),
        events: 50,
        purchases: 40,
        starts: 3,
    };
}

/// Two things done per second.
#[derive(Clone, Copy)]
pub(crate) struct Comparison {
    pub(crate) baseline: f64,
    pub(crate) candidate: f64,
}

impl Comparison {
    pub(crate) fn ratio(self) -> f64 {
        self.candidate / self.baseline
    }
}

/// Measures both in turns, so that what else goes on on the machine meets
/// both, and takes the medians.
pub(crate) async fn in_turns(
    rounds: usize,
    mut baseline: impl AsyncFnMut() -> Result<f64>,
    mut candidate: impl AsyncFnMut() -> Result<f64>,
) -> Result<Comparison> {
    let (mut baselines, mut candidates) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        baselines.push(baseline().await.context("the baseline")?);
        candidates.push(candidate().await.context("the host")?);
    }
    Ok(Comparison { baseline: quantile(&mut baselines, 0.5)?, candidate: quantile(&mut candidates, 0.5)? })
}

/// Sends these requests round and round over all connections, and counts the
/// answers a second. Each must be a 200.
pub(crate) async fn requests_per_second(
    address: SocketAddr,
    requests: &Arc<[Vec<u8>]>,
    length: Duration,
) -> Result<f64> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(address).await?);
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (offset, connection) in connections.into_iter().enumerate() {
        tasks.spawn(send_until(connection, requests.clone(), offset, begun + length));
    }
    let mut answers = 0;
    for count in tasks.join_all().await {
        answers += count?;
    }
    Ok(f64::from(answers) / begun.elapsed().as_secs_f64())
}

async fn send_until(mut connection: Connection, requests: Arc<[Vec<u8>]>, offset: usize, end: Instant) -> Result<u32> {
    let mut answers = 0;
    for request in requests.iter().cycle().skip(offset) {
        connection.send(request).await?.expect(200)?;
        answers += 1;
        if Instant::now() >= end {
            break;
        }
    }
    Ok(answers)
}

/// The value below which this part of the others is: 0.5 is the median.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let index = (last as f64 * part).round() as usize;
    values.get(index).copied().context("nothing was measured")
}
