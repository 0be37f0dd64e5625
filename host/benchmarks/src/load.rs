//! Load on a server, and the comparison of two servers in turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::client::Connection;
use crate::server::Server;

/// Each connection sends one request after another.
const CONNECTIONS: usize = 32;

/// How often and for how long a benchmark measures.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
    pub(crate) warm_up: Duration,
    /// The number of orders whose event is timed.
    pub(crate) events: usize,
    /// The number of purchases in one round.
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

/// The work of a server in one round.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    /// The server's processor time for each piece of work.
    pub(crate) processor_us: f64,
}

/// Requests that are sent one after another, and again from the first.
pub(crate) type Requests = Arc<[Vec<u8>]>;

/// The same work on two servers.
#[derive(Clone, Copy)]
pub(crate) struct Comparison {
    pub(crate) baseline: Rate,
    pub(crate) candidate: Rate,
    /// The candidate's rate divided by the baseline's: the median of the rounds.
    /// Within a round, the state of the machine is the same for both.
    pub(crate) ratio: f64,
    /// The lowest and the highest ratio of a round.
    pub(crate) spread: (f64, f64),
}

impl Rate {
    /// Measures work that these servers do together. The work returns its amount.
    pub(crate) async fn of(servers: &[Server], work: impl Future<Output = Result<usize>>) -> Result<Self> {
        let used = || servers.iter().map(Server::processor_seconds).sum::<Result<f64>>();
        let (begun, before) = (Instant::now(), used()?);
        let done = work.await? as f64;
        let (took, used) = (begun.elapsed().as_secs_f64(), used()? - before);
        Ok(Self { per_second: done / took, processor_us: used * 1e6 / done })
    }

    fn median(rates: &[Self]) -> Result<Self> {
        let middle = |part: fn(&Self) -> f64| quantile(&mut rates.iter().map(part).collect::<Vec<_>>(), 0.5);
        Ok(Self { per_second: middle(|rate| rate.per_second)?, processor_us: middle(|rate| rate.processor_us)? })
    }
}

/// Measures both servers in turns, so that other activity on the machine affects
/// both. Returns the medians.
pub(crate) async fn in_turns(
    rounds: usize,
    mut baseline: impl AsyncFnMut() -> Result<Rate>,
    mut candidate: impl AsyncFnMut() -> Result<Rate>,
) -> Result<Comparison> {
    let (mut baselines, mut candidates) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        baselines.push(baseline().await.context("the baseline")?);
        candidates.push(candidate().await.context("the host")?);
    }
    let mut ratios: Vec<f64> = baselines
        .iter()
        .zip(&candidates)
        .map(|(baseline, candidate)| candidate.per_second / baseline.per_second)
        .collect();
    Ok(Comparison {
        baseline: Rate::median(&baselines)?,
        candidate: Rate::median(&candidates)?,
        ratio: quantile(&mut ratios, 0.5)?,
        spread: (quantile(&mut ratios, 0.0)?, quantile(&mut ratios, 1.0)?),
    })
}

/// Sends these requests over all connections, again and again, for this time.
/// Each answer must be a 200.
pub(crate) async fn send_for(length: Duration, server: &Server, requests: &Arc<[Vec<u8>]>) -> Result<Rate> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(server.address).await?);
    }
    Rate::of(std::slice::from_ref(server), send_all(length, connections, requests)).await
}

async fn send_all(length: Duration, connections: Vec<Connection>, requests: &Arc<[Vec<u8>]>) -> Result<usize> {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (offset, connection) in connections.into_iter().enumerate() {
        tasks.spawn(send_until(connection, requests.clone(), offset, begun + length));
    }
    let mut answers = 0;
    for count in tasks.join_all().await {
        answers += count?;
    }
    Ok(answers)
}

async fn send_until(
    mut connection: Connection,
    requests: Arc<[Vec<u8>]>,
    offset: usize,
    end: Instant,
) -> Result<usize> {
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

/// Sends these requests over all connections at this rate, and returns the time of each
/// in milliseconds, from when it is sent. A connection that is late sends at once.
pub(crate) async fn pace(per_second: f64, length: Duration, server: &Server, requests: &Requests) -> Result<Vec<f64>> {
    let (begun, interval) = (Instant::now(), CONNECTIONS as f64 / per_second);
    let mut tasks = JoinSet::new();
    for number in 0..CONNECTIONS {
        let (mut connection, requests) = (Connection::open(server.address).await?, requests.clone());
        tasks.spawn(async move {
            let mut times = Vec::new();
            for (turn, request) in requests.iter().cycle().skip(number).enumerate() {
                let after = interval * (turn as f64 + number as f64 / CONNECTIONS as f64);
                if after >= length.as_secs_f64() {
                    break;
                }
                tokio::time::sleep_until((begun + Duration::from_secs_f64(after)).into()).await;
                let sent = Instant::now();
                connection.send(request).await?.expect(200)?;
                times.push(sent.elapsed().as_secs_f64() * 1_000.0);
            }
            Ok(times)
        });
    }
    let times: Result<Vec<Vec<f64>>> = tasks.join_all().await.into_iter().collect();
    Ok(times?.concat())
}

/// A quantile of the values. The part 0.5 is the median.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let index = (last as f64 * part).round() as usize;
    values.get(index).copied().context("nothing was measured")
}
