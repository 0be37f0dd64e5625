//! The whole purchase: sign in, look at the list, reserve, pay, until the
//! order is complete. So many a second, beside the same as one native program.

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

/// Purchases on each server before anything is measured: its connections have
/// their statements by then, and its hashes their memory.
const WARM_UP: usize = 8 * BUYERS;

/// How long an order may take to be known or complete.
const LIMIT: Duration = Duration::from_secs(30);
/// Between the first looks; doubled each time, as a client does that is not to
/// be a load of its own.
const PAUSE: Duration = Duration::from_millis(2);

/// A server, or several that are one, with tickets that nobody has bought, in
/// the order of their offer.
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

/// Lets both sell in turns, to buyers who buy one ticket after another. Ends
/// both.
pub(crate) async fn compare(one: Vec<Server>, other: Vec<Server>, effort: Effort) -> Result<Comparison> {
    let mut rivals = Rivals::open(one, other, effort.rounds * effort.purchases).await?;
    let comparison = rivals.busy(effort).await?;
    rivals.close().await?;
    Ok(comparison)
}

/// How long a purchase takes where buyers come at a pace, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) per_second: f64,
    pub(crate) one_ms: f64,
    pub(crate) other_ms: f64,
}

/// The same as [`compare`], and then with buyers who come half as often as the
/// first can serve.
pub(crate) async fn compare_busy_and_not(
    one: Vec<Server>,
    other: Vec<Server>,
    effort: Effort,
) -> Result<(Comparison, Pace)> {
    let mut rivals = Rivals::open(one, other, 2 * effort.rounds * effort.purchases).await?;
    let comparison = rivals.busy(effort).await?;
    let pace = rivals.at_pace(effort, comparison.baseline.per_second / 2.0).await?;
    rivals.close().await?;
    Ok((comparison, pace))
}

/// Two that sell in turns, so that what else goes on on the machine meets both.
struct Rivals {
    one: Market,
    other: Market,
}

impl Rivals {
    /// With so many tickets each, and warm.
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

impl Market {
    /// With so many tickets, and each server warm.
    async fn open_warm(servers: Vec<Server>, count: usize) -> Result<Self> {
        let warm_up = WARM_UP * servers.len();
        let tickets = offer(servers.first().context("no server")?.address, warm_up + count).await?;
        let mut market = Self { servers, tickets };
        market.buy(warm_up).await?;
        Ok(market)
    }

    /// Lets all buyers buy until so many tickets are sold.
    async fn buy(&mut self, count: usize) -> Result<Rate> {
        let rest = self.tickets.len().checked_sub(count).context("sold out")?;
        let tickets: Arc<[String]> = self.tickets.split_off(rest).into();
        let addresses = self.servers.iter().map(|server| server.address).collect();
        Rate::of(&self.servers, sell_out(addresses, tickets)).await
    }

    /// Lets buyers come, whoever is still buying, and says how long each took
    /// from when it was to come, in milliseconds.
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

/// Makes the accounts of all buyers, and offers so many tickets.
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

/// One of the buyers buys this ticket.
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

/// Pays. Payments may not have heard of the order yet.
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
        ensure!(begun.elapsed() < LIMIT, "an order that is paid never became complete");
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(())
}

fn email(buyer: usize) -> String {
    format!("buyer-{buyer}@example.com")
}
