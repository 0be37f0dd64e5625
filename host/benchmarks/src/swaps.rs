//! Swaps under load, uploads, rollbacks, the memory after a thousand swaps, and
//! many plugins at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::task::JoinSet;

use crate::client::{Connection, request};
use crate::load::{Effort, Rate, quantile, send_for};
use crate::market;
use crate::operator::{Operator, PluginFile};
use crate::purchase;
use crate::server::{Server, Setup};

const BUYERS: usize = 8;
/// The host is idle after this time.
const SETTLE: Duration = Duration::from_secs(2);

/// Request times of purchases, without swaps and with swaps.
pub(crate) struct UnderLoad {
    pub(crate) swaps: usize,
    pub(crate) quiet_p99_ms: f64,
    pub(crate) swapping_p99_ms: f64,
    /// The longest exchange of a snapshot.
    pub(crate) swap_ms: f64,
    /// The median activation of a staged revision.
    pub(crate) activate_ms: f64,
}

/// Swaps the components orders and tickets in turns under purchases. A request
/// that fails or gets a wrong answer ends the measurement with an error.
pub(crate) async fn under_load(effort: Effort) -> Result<UnderLoad> {
    let setup = Setup::new("")?;
    let host = setup.start().await?;
    let mut operator = Operator::open(host.operator, &setup.folder().join("data")).await?;
    let swaps = if effort.rounds > 3 { 100 } else { 20 };
    let mut staged = Vec::new();
    for name in ["orders", "tickets"] {
        for version in ["1.0.1", "1.0.2"] {
            let verdict = operator.upload(&PluginFile::component(name)?.version(version)?).await?;
            staged.push((name, verdict.revision));
        }
    }
    buy_meanwhile(&host, tokio::time::sleep(effort.warm_up)).await?;
    let (mut quiet, ()) = buy_meanwhile(&host, tokio::time::sleep(effort.round * 3)).await?;
    // The host has closed the first connection, which was idle.
    let mut operator = Operator::open(host.operator, &setup.folder().join("data")).await?;
    let swapping = async {
        let (mut swap_us, mut took_ms) = (Vec::new(), Vec::new());
        for (name, revision) in [0, 2, 1, 3].iter().cycle().filter_map(|index| staged.get(*index)).take(swaps) {
            let report = operator.activate(name, revision).await?;
            ensure!(report.dropped == 0 && report.cut_off == 0, "a swap of {name} dropped work");
            swap_us.push(report.swap_us);
            took_ms.push(report.took_ms);
        }
        Ok((swap_us, took_ms))
    };
    let (mut swapped, reports): (_, Result<_>) = buy_meanwhile(&host, swapping).await?;
    let (mut swap_us, mut took_ms) = reports?;
    host.stop().await?;
    Ok(UnderLoad {
        swaps,
        quiet_p99_ms: quantile(&mut quiet, 0.99)?,
        swapping_p99_ms: quantile(&mut swapped, 0.99)?,
        swap_ms: quantile(&mut swap_us, 1.0)? / 1_000.0,
        activate_ms: quantile(&mut took_ms, 0.5)?,
    })
}

/// Runs purchases for as long as `something` takes. Returns the time of each
/// request in milliseconds. Every order is complete at the end.
async fn buy_meanwhile<T>(host: &Server, something: impl Future<Output = T>) -> Result<(Vec<f64>, T)> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut buyers = JoinSet::new();
    for _ in 0..BUYERS {
        let (address, stop) = (host.address, stop.clone());
        buyers.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut sessions = Vec::new();
            for _ in 0..2 {
                let email = format!("{}@example.com", uuid::Uuid::now_v7());
                sessions.push(market::sign_up(&mut connection, &email).await?);
            }
            let [seller, buyer] = sessions.as_slice() else { bail!("two people") };
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                one_purchase(&mut connection, seller, buyer, &mut times).await?;
            }
            Ok(times)
        });
    }
    let result = something.await;
    stop.store(true, Ordering::Relaxed);
    let times: Result<Vec<Vec<f64>>> = buyers.join_all().await.into_iter().collect();
    Ok((times?.concat(), result))
}

/// Offers a ticket, lists the tickets and buys the ticket.
async fn one_purchase(connection: &mut Connection, seller: &str, buyer: &str, times: &mut Vec<f64>) -> Result<()> {
    let mut timed = Instant::now();
    let mut lap = |times: &mut Vec<f64>| {
        times.push(timed.elapsed().as_secs_f64() * 1_000.0);
        timed = Instant::now();
    };
    let body = r#"{"title":"Row 1","price":"19.99"}"#;
    let ticket = connection
        .send(&request("POST", "/api/tickets", Some(seller), Some(body)))
        .await?
        .json::<market::Made>(201)?
        .id;
    lap(times);
    connection.send(&request("GET", "/api/tickets", Some(buyer), None)).await?.expect(200)?;
    lap(times);
    let order = market::reserve(connection, buyer, &ticket).await?.id;
    lap(times);
    purchase::pay(connection, buyer, &order).await?;
    lap(times);
    purchase::await_completion(connection, buyer, &order).await
}

/// Times of an upload of the orders component.
pub(crate) struct Upload {
    /// From the first byte until the revision is staged, without a cached copy.
    pub(crate) cold_seconds: f64,
    /// The time to read the compiled code from the cache.
    pub(crate) cached_ms: f64,
    pub(crate) rollback_ms: f64,
}

pub(crate) async fn upload(effort: Effort) -> Result<Upload> {
    let setup = Setup::new("")?;
    let host = setup.start().await?;
    let mut operator = Operator::open(host.operator, &setup.folder().join("data")).await?;
    let (mut cold, mut cached, mut back) = (Vec::new(), Vec::new(), Vec::new());
    let orders = PluginFile::component("orders")?;
    for round in 0..u8::try_from(effort.starts)? {
        let file = orders.unseen(round.into()).version(&format!("1.1.{round}"))?;
        let begun = Instant::now();
        let verdict = operator.upload(&file).await?;
        cold.push(begun.elapsed().as_secs_f64());
        ensure!(!verdict.from_cache, "the file was in the cache");
        operator.activate("orders", &verdict.revision).await?;
        let again = operator.upload(&file.with(&format!("1.1.{round}"), &format!("1.2.{round}"))?).await?;
        ensure!(again.from_cache, "the file was not in the cache");
        cached.push(again.compile_ms);
        back.push(operator.rollback("orders").await?.took_ms);
    }
    host.stop().await?;
    Ok(Upload {
        cold_seconds: quantile(&mut cold, 0.5)?,
        cached_ms: quantile(&mut cached, 0.5)?,
        rollback_ms: quantile(&mut back, 0.5)?,
    })
}

/// Resident memory after ten swaps and after a thousand, in MiB.
pub(crate) async fn memory(effort: Effort) -> Result<(usize, f64, f64)> {
    let setup = Setup::new("bundled = false\n")?;
    let host = setup.start().await?;
    let mut operator = Operator::open(host.operator, &setup.folder().join("data")).await?;
    let hello = PluginFile::guest("hello")?;
    let mut revisions = Vec::new();
    for version in ["1.0.1", "1.0.2"] {
        revisions.push(operator.upload(&hello.version(version)?).await?.revision);
    }
    let swaps = if effort.rounds > 3 { 1_000 } else { 200 };
    let requests: Arc<[Vec<u8>]> = [request("GET", "/hello", None, None)].into();
    let mut early = 0.0;
    for (number, revision) in revisions.iter().cycle().take(swaps).enumerate() {
        operator.activate("hello", revision).await?;
        if number % 10 == 0 {
            send_for(Duration::from_millis(20), &host, &requests).await?;
        }
        if number == 10 {
            tokio::time::sleep(SETTLE).await;
            early = host.resident_mib()?;
        }
    }
    tokio::time::sleep(SETTLE).await;
    let late = host.resident_mib()?;
    host.stop().await?;
    Ok((swaps, early, late))
}

/// The cost of many idle plugins.
pub(crate) struct Many {
    pub(crate) plugins: usize,
    pub(crate) mib_each: f64,
    /// The rate of one plugin alone, and among the others.
    pub(crate) alone: Rate,
    pub(crate) among: Rate,
    /// The time until the host is ready with all of them.
    pub(crate) start_seconds: f64,
}

pub(crate) async fn many(effort: Effort) -> Result<Many> {
    let setup = Setup::new("bundled = false\n")?;
    let host = setup.start().await?;
    let mut operator = Operator::open(host.operator, &setup.folder().join("data")).await?;
    let hello = PluginFile::guest("hello")?;
    operator.deploy("hello", &hello).await?;
    let requests: Arc<[Vec<u8>]> = [request("GET", "/hello", None, None)].into();
    send_for(effort.warm_up, &host, &requests).await?;
    let alone = send_for(effort.round * 2, &host, &requests).await?;
    tokio::time::sleep(SETTLE).await;
    let before = host.resident_mib()?;
    let mut operator = Operator::open(host.operator, &setup.folder().join("data")).await?;
    let plugins = if effort.rounds > 3 { 1_000 } else { 50 };
    for number in 0..plugins {
        let name = format!("hello-{number}");
        let file = hello
            .with("name = \"hello\"", &format!("name = \"{name}\""))?
            .with("/hello", &format!("/hello-{number}/hello"))?;
        operator.deploy(&name, &file.unseen(u16::try_from(number)?)).await.with_context(|| name)?;
    }
    tokio::time::sleep(SETTLE).await;
    let mib_each = (host.resident_mib()? - before) / plugins as f64;
    let among = send_for(effort.round * 2, &host, &requests).await?;
    host.stop().await?;
    let begun = Instant::now();
    let again = setup.start().await?;
    let start_seconds = begun.elapsed().as_secs_f64();
    again.stop().await?;
    Ok(Many { plugins, mib_each, alone, among, start_seconds })
}
