//! Accounts, tickets and orders, made through the API.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::{Connection, request};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The number of requests that offer tickets at the same time.
const SELLERS: usize = 16;

/// The longest that a ticket may take to become known to the orders component.
const REPLICATION_LIMIT: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
pub(crate) struct Made {
    pub(crate) id: String,
}

/// Makes an account and returns its session.
pub(crate) async fn sign_up(connection: &mut Connection, email: &str) -> Result<String> {
    let body = json!({ "email": email, "password": PASSWORD }).to_string();
    let answer = connection.send(&request("POST", "/api/users/signup", None, Some(&body))).await?;
    answer.expect(201)?;
    answer.cookie()
}

/// Offers one ticket and returns its id.
pub(crate) async fn offer(connection: &mut Connection, seller: &str, seat: usize) -> Result<String> {
    let body = json!({ "title": format!("Row 1, seat {seat}"), "price": "19.99" }).to_string();
    let request = request("POST", "/api/tickets", Some(seller), Some(&body));
    Ok(connection.send(&request).await?.json::<Made>(201)?.id)
}

/// Offers this number of tickets and returns their ids.
pub(crate) async fn sell(address: SocketAddr, seller: &str, count: usize) -> Result<Vec<String>> {
    let mut tasks = JoinSet::new();
    for share in 0..SELLERS {
        let seller = seller.to_owned();
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut ids = Vec::new();
            for number in (share..count).step_by(SELLERS) {
                ids.push(offer(&mut connection, &seller, number).await?);
            }
            Ok(ids)
        });
    }
    let ids: Result<Vec<Vec<String>>> = tasks.join_all().await.into_iter().collect();
    Ok(ids?.concat())
}

/// Reserves a ticket and returns the order. Waits until the orders component
/// knows the ticket.
pub(crate) async fn reserve(connection: &mut Connection, buyer: &str, ticket: &str) -> Result<Made> {
    let body = json!({ "ticketId": ticket }).to_string();
    let request = request("POST", "/api/orders", Some(buyer), Some(&body));
    let begun = Instant::now();
    loop {
        let answer = connection.send(&request).await?;
        if answer.status != 404 {
            return answer.json(201);
        }
        ensure!(begun.elapsed() < REPLICATION_LIMIT, "a ticket never became known to orders");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A seller's tickets, which can be ordered, and the session of a buyer.
pub(crate) async fn open(
    connection: &mut Connection,
    address: SocketAddr,
    count: usize,
) -> Result<(Vec<String>, String)> {
    let seller = sign_up(connection, "seller@example.com").await?;
    let buyer = sign_up(connection, "buyer@example.com").await?;
    let tickets = sell(address, &seller, count).await?;
    await_replication(address, &seller).await?;
    Ok((tickets, buyer))
}

/// Waits until all tickets can be ordered. Events keep the order of their
/// commits, so it is enough to wait for a ticket that is offered last.
pub(crate) async fn await_replication(address: SocketAddr, seller: &str) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    let buyer = sign_up(&mut connection, "first@example.com").await?;
    let last = sell(address, seller, 1).await?;
    reserve(&mut connection, &buyer, last.first().context("no ticket")?).await?;
    Ok(())
}
