//! What the public listener costs: HTTP/2 beside HTTP/1.1, rate limits, and visitors
//! beside clients that hold connections and do nothing with them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Connection, request};
use crate::http2::Streams;
use crate::load::{Comparison, Effort, Rate, Requests, in_turns, quantile, send_for};
use crate::market;
use crate::native::{self, Data};
use crate::server::{Server, Setup};
use crate::side_by_side::in_turns_on;

/// Requests under way at the same time, as in the load of HTTP/1.1.
const AT_ONCE: usize = 32;
const TICKETS: usize = 200;
/// Clients that send one byte in a second.
pub(crate) const SLOW: usize = 1_000;
/// Clients that have had an answer and keep the connection.
pub(crate) const IDLE: usize = 5_000;
/// Visitors who ask one after another, with a pause.
const VISITORS: usize = 8;
const PAUSE: Duration = Duration::from_millis(10);
/// Rates that no load reaches.
const RATES: &str = r#"
[rate_limits]
address = "1000000/s"
changes = "1000000/s"
account = "1000000/s"
routes = { "GET /api/tickets/{id}" = "1000000/s" }
"#;

/// The rate of HTTP/2 beside that of HTTP/1.1.
pub(crate) struct Http2 {
    /// With a connection for each client.
    pub(crate) each: Comparison,
    /// With one for all clients.
    pub(crate) one: Comparison,
    /// As `each`, by axum and hyper alone.
    pub(crate) native: Comparison,
}

pub(crate) async fn http2(effort: Effort) -> Result<Http2> {
    let setup = Setup::of_guest("hello", &[])?;
    let host = setup.start().await?;
    let data = Data::File(setup.folder().to_owned());
    let (http1, http2) = (Server::native("hello", &data).await?, Server::native(native::HTTP2, &data).await?);
    let compared = Http2 {
        each: http2_beside_http1(&host, &host, AT_ONCE, effort).await?,
        one: http2_beside_http1(&host, &host, 1, effort).await?,
        native: http2_beside_http1(&http1, &http2, AT_ONCE, effort).await?,
    };
    for server in [host, http1, http2] {
        server.stop().await?;
    }
    Ok(compared)
}

async fn http2_beside_http1(http1: &Server, http2: &Server, connections: usize, effort: Effort) -> Result<Comparison> {
    let requests: Requests = Arc::new([request("GET", "/hello", None, None)]);
    let load = async |length| {
        let load = http2_load(http2.address, length, connections);
        Rate::of(std::slice::from_ref(http2), load).await
    };
    send_for(effort.warm_up, http1, &requests).await?;
    load(effort.warm_up).await?;
    in_turns(effort.rounds, async || send_for(effort.round, http1, &requests).await, async || load(effort.round).await)
        .await
}

async fn http2_load(address: SocketAddr, length: Duration, connections: usize) -> Result<usize> {
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let streams = Streams::open(address, "/hello").await?;
        clients.spawn(streams.ask_until(Instant::now() + length, AT_ONCE / connections));
    }
    clients.join_all().await.into_iter().sum()
}

/// `GET /api/tickets/{id}` with rate limits, beside a host without them.
pub(crate) async fn rate_limits(effort: Effort) -> Result<Comparison> {
    let (without, with) = (Setup::new("")?, Setup::new(RATES)?.with([("TICKETING_RATE_LIMITS", "on".to_owned())]));
    let (without, with) = (without.start().await?, with.start().await?);
    let (some, others) = (reads(&without).await?, reads(&with).await?);
    in_turns_on((without, some), (with, others), effort).await
}

/// Requests for single tickets of a new market.
pub(crate) async fn reads(host: &Server) -> Result<Requests> {
    let mut connection = Connection::open(host.address).await?;
    let seller = market::sign_up(&mut connection, "seller@example.com").await?;
    let ids = market::sell(host.address, &seller, TICKETS).await?;
    Ok(ids.iter().map(|id| request("GET", &format!("/api/tickets/{id}"), None, None)).collect())
}

/// Times in milliseconds.
pub(crate) struct Beside {
    pub(crate) quiet_p99: f64,
    pub(crate) busy_p99: f64,
    /// The median of the rounds.
    pub(crate) ratio: f64,
    /// The connections that were open at the end of the first round.
    pub(crate) idle: usize,
}

/// The list of tickets for visitors of a host without other clients, and of one with
/// [`SLOW`] and [`IDLE`] clients.
pub(crate) async fn beside_idle_clients(effort: Effort) -> Result<Beside> {
    let (one, other) = (Setup::new("")?, Setup::new("")?);
    let (quiet, busy) = (one.start().await?, other.start().await?);
    for host in [&quiet, &busy] {
        reads(host).await?;
    }
    let mut slow = JoinSet::new();
    (0..SLOW).for_each(|client| drop(slow.spawn(drip(busy.address, client))));
    let idle = keep(busy.address).await?;
    // Each slow client has begun.
    sleep(Duration::from_secs(2)).await;
    let (mut quiets, mut busies, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        let (quiet, busy) = (p99(quiet.address, effort).await?, p99(busy.address, effort).await?);
        quiets.push(quiet);
        busies.push(busy);
        ratios.push(busy / quiet);
    }
    let idle = still_open(idle).await;
    slow.abort_all();
    quiet.stop().await?;
    busy.stop().await?;
    Ok(Beside {
        quiet_p99: quantile(&mut quiets, 0.5)?,
        busy_p99: quantile(&mut busies, 0.5)?,
        ratio: quantile(&mut ratios, 0.5)?,
        idle,
    })
}

/// Sends the head of a request, one byte in a second, and begins again when the host
/// ends the connection.
async fn drip(address: SocketAddr, client: usize) {
    sleep(Duration::from_secs(1) * client as u32 / SLOW as u32).await;
    let head = request("GET", "/api/tickets", None, None);
    loop {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            for byte in head.iter().cycle() {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_secs(1)).await;
            }
        }
        sleep(PAUSE).await;
    }
}

async fn keep(address: SocketAddr) -> Result<Vec<Connection>> {
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        let mut connection = Connection::open(address).await?;
        connection.send(&request("GET", "/api/tickets", None, None)).await?.expect(200)?;
        idle.push(connection);
    }
    Ok(idle)
}

/// The number of connections that still answer.
async fn still_open(connections: Vec<Connection>) -> usize {
    let mut open = 0;
    for mut connection in connections {
        open += usize::from(connection.send(&request("GET", "/api/tickets", None, None)).await.is_ok());
    }
    open
}

async fn p99(address: SocketAddr, effort: Effort) -> Result<f64> {
    let end = Instant::now() + effort.round;
    let mut visitors = JoinSet::new();
    for _ in 0..VISITORS {
        let mut connection = Connection::open(address).await?;
        visitors.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let begun = Instant::now();
                connection.send(&request("GET", "/api/tickets", None, None)).await?.expect(200)?;
                times.push(begun.elapsed().as_secs_f64() * 1_000.0);
                sleep(PAUSE).await;
            }
            Ok(times)
        });
    }
    let times: Result<Vec<Vec<f64>>> = visitors.join_all().await.into_iter().collect();
    quantile(&mut times?.concat(), 0.99)
}
