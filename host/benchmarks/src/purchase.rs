//! The rate of whole purchases, beside one native program that does the same:
//! sign in, list the tickets, reserve, pay, and wait until the order is complete.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::{Connection, request};
use crate::load::{Comparison, Effort, Rate, in_turns, quantile};
use crate::market;
use crate::native::Data;
use crate::server::{Server, Setup};

pub(crate) const BUYERS: usize = 8;

/// Purchases on each server before the measurement. They prepare the statements
/// of all connections and allocate the memory for hashing.
const WARM_UP: usize = 8 * BUYERS;

/// The longest that an order may take to become known, or complete.
const LIMIT: Duration = Duration::from_secs(30);
/// The pause after the first request that is too early. Each further pause is
/// twice as long, so that waiting clients are no load.
const PAUSE: Duration = Duration::from_millis(2);

/// One server, or a cluster, with the tickets that are still for sale, the
/// oldest first.
struct Market {
    servers: Vec<Server>,
    tickets: Vec<String>,
}

pub(crate) async fn measure(effort: Effort) -> Result<Comparison> {
    let setup = Setup::new("")?;
    let host = setup.start().await?;
    let native = Server::native("purchase", &Data::File(setup.folder().join("native.db"))).await?;
    compare(vec![native], vec![host], effort).await
}

/// Compares purchases on two markets in turns. Each buyer buys one ticket after
/// another. Stops the servers.
pub(crate) async fn compare(one: Vec<Server>, other: Vec<Server>, effort: Effort) -> Result<Comparison> {
    let mut markets = TwoMarkets::open(one, other, effort.rounds * effort.purchases).await?;
    let comparison = markets.busy(effort).await?;
    markets.close().await?;
    Ok(comparison)
}

/// The median time of a purchase when buyers arrive at a fixed rate.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) per_second: f64,
    pub(crate) one_ms: f64,
    pub(crate) other_ms: f64,
}

/// Does the work of [`compare`], and then measures buyers who arrive at half the
/// rate that the first market can serve.
pub(crate) async fn compare_busy_and_not(
    one: Vec<Server>,
    other: Vec<Server>,
    effort: Effort,
) -> Result<(Comparison, Pace)> {
    let mut markets = TwoMarkets::open(one, other, 2 * effort.rounds * effort.purchases).await?;
    let comparison = markets.busy(effort).await?;
    let pace = markets.at_pace(effort, comparison.baseline.per_second / 2.0).await?;
    markets.close().await?;
    Ok((comparison, pace))
}

/// Two markets that work in turns, so that other activity on the machine affects
/// both.
struct TwoMarkets {
    one: Market,
    other: Market,
}

impl TwoMarkets {
    /// Opens two warm markets with this number of tickets each.
    async fn open(one: Vec<Server>, other: Vec<Server>, count: usize) -> Result<Self> {
        Ok(Self { one: Market::open_warm(one, count).await?, other: Market::open_warm(other, count).await? })
    }

    async fn busy(&mut self, effort: Effort) -> Result<Comparison> {
        let Self { one, other } = self;
        let purchases = effort.purchases;
        in_turns(effort.rounds, async || one.buy(purchases).await, async || other.buy(purchases).await).await
    }

    async fn at_pace(&mut self, effort: Effort, per_second: f64) -> Result<Pace> {
        let every = Duration::from_secs_f64(1.0 / per_second);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for _ in 0..effort.rounds {
            one.extend(self.one.buy_at_pace(effort.purchases / 2, every).await?);
            other.extend(self.other.buy_at_pace(effort.purchases / 2, every).await?);
        }
        Ok(Pace { per_second, one_ms: quantile(&mut one, 0.5)?, other_ms: quantile(&mut other, 0.5)? })
    }

    async fn close(self) -> Result<()> {
        self.one.close().await?;
        self.other.close().await
    }
}

/// Lets buyers buy until the server is warm.
pub(crate) async fn warm_up(server: Server) -> Result<Server> {
    Market::open_warm(vec![server], 0).await?.servers.pop().context("no server")
}

impl Market {
    /// Opens a market with this number of tickets and with warm servers.
    async fn open_warm(servers: Vec<Server>, count: usize) -> Result<Self> {
        let warm_up = WARM_UP * servers.len();
        let tickets = offer(servers.first().context("no server")?.address, warm_up + count).await?;
        let mut market = Self { servers, tickets };
        market.buy(warm_up).await?;
        Ok(market)
    }

    /// Lets all buyers buy until this number of tickets is sold.
    async fn buy(&mut self, count: usize) -> Result<Rate> {
        let rest = self.tickets.len().checked_sub(count).context("sold out")?;
        let tickets: Arc<[String]> = self.tickets.split_off(rest).into();
        let addresses = self.servers.iter().map(|server| server.address).collect();
        Rate::of(&self.servers, sell_out(addresses, tickets)).await
    }

    /// Lets a buyer arrive at each interval, even if others are still buying.
    /// Returns the time of each purchase in milliseconds, counted from the time
    /// at which the buyer was due.
    async fn buy_at_pace(&mut self, count: usize, every: Duration) -> Result<Vec<f64>> {
        let rest = self.tickets.len().checked_sub(count).context("sold out")?;
        let begun = Instant::now();
        let mut buyers = JoinSet::new();
        for ((number, ticket), server) in (0..).zip(self.tickets.split_off(rest)).zip(self.servers.iter().cycle()) {
            let (address, comes) = (server.address, begun + every * number);
            buyers.spawn(async move {
                let mut connection = Connection::open(address).await?;
                tokio::time::sleep_until(comes.into()).await;
                purchase(&mut connection, number as usize % BUYERS, &ticket).await?;
                Ok(comes.elapsed().as_secs_f64() * 1_000.0)
            });
        }
        buyers.join_all().await.into_iter().collect()
    }

    async fn close(self) -> Result<()> {
        for server in self.servers {
            server.stop().await?;
        }
        Ok(())
    }
}

/// Makes the accounts of all buyers, and offers this number of tickets.
pub(crate) async fn offer(address: SocketAddr, count: usize) -> Result<Vec<String>> {
    let mut connection = Connection::open(address).await?;
    let seller = market::sign_up(&mut connection, "seller@example.com").await?;
    for buyer in 0..BUYERS {
        market::sign_up(&mut connection, &email(buyer)).await?;
    }
    let tickets = market::sell(address, &seller, count).await?;
    market::await_replication(address, &seller).await?;
    Ok(tickets)
}

async fn sell_out(addresses: Vec<SocketAddr>, tickets: Arc<[String]>) -> Result<usize> {
    let sold = Arc::new(AtomicUsize::new(0));
    let mut buyers = JoinSet::new();
    for (buyer, &address) in (0..BUYERS).zip(addresses.iter().cycle()) {
        let (tickets, sold) = (tickets.clone(), sold.clone());
        buyers.spawn(async move {
            let mut connection = Connection::open(address).await?;
            while let Some(ticket) = tickets.get(sold.fetch_add(1, Ordering::Relaxed)) {
                purchase(&mut connection, buyer, ticket).await?;
            }
            Ok(())
        });
    }
    buyers.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(tickets.len())
}

/// Lets a buyer buy this ticket.
pub(crate) async fn purchase(connection: &mut Connection, buyer: usize, ticket: &str) -> Result<()> {
    let credentials = json!({ "email": email(buyer), "password": market::PASSWORD }).to_string();
    let answer = connection.send(&request("POST", "/api/users/signin", None, Some(&credentials))).await?;
    answer.expect(200)?;
    let session = answer.cookie()?;
    connection.send(&request("GET", "/api/tickets", Some(&session), None)).await?.expect(200)?;
    let order = market::reserve(connection, &session, ticket).await?.id;
    pay(connection, &session, &order).await?;
    await_completion(connection, &session, &order).await
}

/// Pays an order. Waits until the payments component knows the order.
pub(crate) async fn pay(connection: &mut Connection, session: &str, order: &str) -> Result<()> {
    let body = json!({ "orderId": order, "token": "tok_visa" }).to_string();
    let request = request("POST", "/api/payments", Some(session), Some(&body));
    let (begun, mut pause) = (Instant::now(), PAUSE);
    loop {
        let answer = connection.send(&request).await?;
        if answer.status != 404 {
            return answer.expect(201);
        }
        ensure!(begun.elapsed() < LIMIT, "an order never became known to payments");
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

pub(crate) async fn await_completion(connection: &mut Connection, session: &str, order: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Order {
        status: String,
    }

    let request = request("GET", &format!("/api/orders/{order}"), Some(session), None);
    let (begun, mut pause) = (Instant::now(), PAUSE);
    while connection.send(&request).await?.json::<Order>(200)?.status != "complete" {
        ensure!(begun.elapsed() < LIMIT, "a paid order never became complete");
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(())
}

fn email(buyer: usize) -> String {
    format!("buyer-{buyer}@example.com")
}
