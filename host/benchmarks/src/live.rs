//! Held connections: the memory of each, and the time of one event to all of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::client::{Connection, request};
use crate::load::Effort;
use crate::server::Setup;

/// The time in which the host has taken all connections into its memory.
const SETTLE: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(60);
/// The text of a sign that the host holds the connection.
const HELD: &[u8] = b"\nid: ";
const EVENT: &str = "the event of this benchmark";

/// The cost of listeners.
pub(crate) struct Live {
    pub(crate) listeners: usize,
    /// The memory of the host for each, while nothing happens.
    pub(crate) kib_each: f64,
    /// The time from the request that sends an event to the last listener's event.
    pub(crate) last_ms: f64,
}

/// Opens many connections that the host holds, and sends one event to all of them.
pub(crate) async fn measure(effort: Effort) -> Result<Live> {
    let count = if effort.rounds > 3 { 5_000 } else { 1_000 };
    let setup = Setup::of_guest("radio", &["store"])?;
    let host = setup.start().await?;
    // The first listeners also warm the instances and begin the feed.
    let mut listeners = Vec::new();
    for _ in 0..50 {
        listeners.push(listen(host.address).await?);
    }
    sleep(SETTLE).await;
    let (before, first) = (host.resident_mib()?, listeners.len());
    for _ in 0..count {
        listeners.push(listen(host.address).await.context("a process may have too few open files (`ulimit -n`)")?);
    }
    sleep(SETTLE).await;
    let kib_each = (host.resident_mib()? - before) * 1_024.0 / (listeners.len() - first) as f64;
    let body = serde_json::json!({ "events": [["a", "said", EVENT]] }).to_string();
    let mut sender = Connection::open(host.address).await?;
    let begun = Instant::now();
    sender.send(&request("POST", "/radio/events", None, Some(&body))).await?.expect(200)?;
    for listener in &mut listeners {
        read_until(listener, EVENT.as_bytes()).await?;
    }
    let last_ms = begun.elapsed().as_secs_f64() * 1_000.0;
    host.stop().await?;
    Ok(Live { listeners: count, kib_each, last_ms })
}

async fn listen(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&request("GET", "/radio/events?channels=a", None, None)).await?;
    read_until(&mut stream, HELD).await?;
    Ok(stream)
}

async fn read_until(stream: &mut TcpStream, wanted: &[u8]) -> Result<()> {
    let read = async {
        let mut text = Vec::new();
        while !text.windows(wanted.len()).any(|window| window == wanted) {
            ensure!(stream.read_buf(&mut text).await? > 0, "the host closed a held connection");
        }
        Ok(())
    };
    timeout(LIMIT, read).await.context("a held connection is silent")?
}
