//! The cost of a large database: the same requests with a thousand tickets and
//! with a million.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

use crate::client::{Connection, request};
use crate::load::{Effort, quantile};
use crate::market;
use crate::server::Setup;

/// One ticket in five is sold.
const TICKETS_PER_ORDER: usize = 5;
const ROWS_AT_ONCE: usize = 20_000;

/// Median times in milliseconds.
pub(crate) struct Times {
    pub(crate) list: f64,
    pub(crate) read: f64,
    pub(crate) reserve: f64,
}

/// Measures the same requests on a small database and on a large one. Returns
/// the number of tickets in the large one, and the times of both.
pub(crate) async fn measure(effort: Effort) -> Result<(usize, Times, Times)> {
    let large = if effort.rounds > 3 { 1_000_000 } else { 100_000 };
    let requests = effort.events;
    Ok((large, times(1_000, requests.min(200)).await?, times(large, requests).await?))
}

async fn times(tickets: usize, requests: usize) -> Result<Times> {
    let setup = Setup::new("")?;
    let host = setup.start().await?;
    let mut connection = Connection::open(host.address).await?;
    let buyer = market::sign_up(&mut connection, "buyer@example.com").await?;
    host.stop().await?;
    let free = fill(&setup.folder().join("data/components"), tickets).await?;

    let host = setup.start().await?;
    let mut connection = Connection::open(host.address).await?;
    let step = (free.len() / requests).max(1);
    let chosen: Vec<&String> = free.iter().step_by(step).take(requests).collect();
    let (mut list, mut read, mut reserve) = (Vec::new(), Vec::new(), Vec::new());
    for ticket in chosen {
        let begun = Instant::now();
        connection.send(&request("GET", "/api/tickets", None, None)).await?.expect(200)?;
        list.push(begun.elapsed().as_secs_f64() * 1_000.0);
        let begun = Instant::now();
        connection.send(&request("GET", &format!("/api/tickets/{ticket}"), None, None)).await?.expect(200)?;
        read.push(begun.elapsed().as_secs_f64() * 1_000.0);
        let body = serde_json::json!({ "ticketId": ticket }).to_string();
        let begun = Instant::now();
        connection.send(&request("POST", "/api/orders", Some(&buyer), Some(&body))).await?.expect(201)?;
        reserve.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    host.stop().await?;
    let median = |mut samples: Vec<f64>| quantile(&mut samples, 0.5);
    Ok(Times { list: median(list)?, read: median(read)?, reserve: median(reserve)? })
}

/// Writes tickets and orders as the components would, and returns the tickets
/// that are for sale.
async fn fill(folder: &Path, count: usize) -> Result<Vec<String>> {
    let tickets = open(&folder.join("tickets.db")).await?;
    let orders = open(&folder.join("orders.db")).await?;
    let (seller, buyer) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let mut free = Vec::new();
    for begin in (0..count).step_by(ROWS_AT_ONCE) {
        let (mut one, mut other) = (tickets.begin().await?, orders.begin().await?);
        for number in begin..(begin + ROWS_AT_ONCE).min(count) {
            let id = Uuid::now_v7().to_string();
            let order = (number % TICKETS_PER_ORDER == 0).then(|| Uuid::now_v7().to_string());
            sell(&mut one, &mut other, &id, &seller, order.as_deref()).await?;
            match order {
                Some(order) => buy(&mut other, &order, &buyer, &id).await?,
                None => free.push(id),
            }
        }
        one.commit().await?;
        other.commit().await?;
    }
    tickets.close().await;
    orders.close().await;
    Ok(free)
}

async fn open(path: &Path) -> Result<SqlitePool> {
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(SqliteConnectOptions::new().filename(path));
    pool.await.with_context(|| path.display().to_string())
}

async fn sell(
    tickets: &mut Transaction<'_, Sqlite>,
    copies: &mut Transaction<'_, Sqlite>,
    id: &str,
    seller: &str,
    order: Option<&str>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO tickets (id, version, title, title_key, amount, currency, user_id, order_id)
         VALUES ($1, 0, 'Row 1', 'row 1', 1999, 'usd', $2, $3)",
    )
    .bind(id)
    .bind(seller)
    .bind(order)
    .execute(&mut **tickets)
    .await?;
    sqlx::query(
        "INSERT INTO tickets (id, version, title, amount, currency, user_id) VALUES ($1, 0, 'Row 1', 1999, 'usd', $2)",
    )
    .bind(id)
    .bind(seller)
    .execute(&mut **copies)
    .await?;
    Ok(())
}

async fn buy(orders: &mut Transaction<'_, Sqlite>, id: &str, buyer: &str, ticket: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO orders (id, version, user_id, status, expires_ms, ticket_id, ticket_version, title, amount, currency)
         VALUES ($1, 1, $2, 'complete', 0, $3, 0, 'Row 1', 1999, 'usd')",
    )
    .bind(id)
    .bind(buyer)
    .bind(ticket)
    .execute(&mut **orders)
    .await?;
    Ok(())
}
