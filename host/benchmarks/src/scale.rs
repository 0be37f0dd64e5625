//! The cost of a large database: the same requests with a thousand tickets and
//! with a million.

use std::path::Path;
use std::time::Instant;

use ::tickets::terms;
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
const TITLE: &str = "Orchestra, row 1";
/// A word of one ticket, which is among the oldest.
const RARE_WORD: &str = "rarity";
const ROWS_AT_ONCE: usize = 20_000;

/// Median times in milliseconds.
pub(crate) struct Times {
    pub(crate) list: f64,
    /// A search for a word of every title.
    pub(crate) common_word: f64,
    /// A search for a word of the oldest title.
    pub(crate) rare_word: f64,
    /// A search for a word that begins like a word of every title. It looks at
    /// as many titles as it may for one page.
    pub(crate) near_matches: f64,
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
    let (mut read, mut reserve) = (Vec::new(), Vec::new());
    let mut pages = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for ticket in chosen {
        let paths = [
            "/api/tickets",
            "/api/tickets?q=ORCHESTRA",
            "/api/tickets?q=row+RARITY",
            "/api/tickets?q=orchestrax+row+1",
        ];
        for (path, samples) in paths.into_iter().zip(&mut pages) {
            let begun = Instant::now();
            connection.send(&request("GET", path, None, None)).await?.expect(200)?;
            samples.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
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
    let [list, common_word, rare_word, near_matches] = pages.map(median);
    let (list, common_word) = (list?, common_word?);
    let (rare_word, near_matches) = (rare_word?, near_matches?);
    Ok(Times { list, common_word, rare_word, near_matches, read: median(read)?, reserve: median(reserve)? })
}

/// Writes tickets and orders as the components would, and returns the tickets
/// that are for sale.
async fn fill(folder: &Path, count: usize) -> Result<Vec<String>> {
    let tickets = open(&folder.join("tickets.db")).await?;
    let orders = open(&folder.join("orders.db")).await?;
    let (seller, buyer) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    index_words(&tickets, &["orchestra,", "row", "1", RARE_WORD]).await?;
    let mut free = Vec::new();
    for begin in (0..count).step_by(ROWS_AT_ONCE) {
        let (mut one, mut other) = (tickets.begin().await?, orders.begin().await?);
        for number in begin..(begin + ROWS_AT_ONCE).min(count) {
            let id = Uuid::now_v7().to_string();
            let order = (number % TICKETS_PER_ORDER == 0).then(|| Uuid::now_v7().to_string());
            let title = if number == 1 { format!("{TITLE} {RARE_WORD}") } else { TITLE.to_owned() };
            sell(&mut one, &mut other, &id, &seller, order.as_deref(), &title).await?;
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

/// Adds the parts of words to the index of the search.
async fn index_words(tickets: &SqlitePool, words: &[&str]) -> Result<()> {
    for word in words {
        for part in terms::parts(word) {
            sqlx::query("INSERT INTO word_parts (part, word) VALUES ($1, $2)")
                .bind(part)
                .bind(*word)
                .execute(tickets)
                .await?;
        }
    }
    Ok(())
}

async fn sell(
    tickets: &mut Transaction<'_, Sqlite>,
    copies: &mut Transaction<'_, Sqlite>,
    id: &str,
    seller: &str,
    order: Option<&str>,
    title: &str,
) -> Result<()> {
    let key = terms::key(title);
    for word in terms::words(&key) {
        sqlx::query("INSERT INTO title_words (word, ticket) VALUES ($1, $2)")
            .bind(word)
            .bind(Uuid::parse_str(id)?.into_bytes().to_vec())
            .execute(&mut **tickets)
            .await?;
    }
    sqlx::query(
        "INSERT INTO tickets (id, version, title, title_key, amount, currency, user_id, order_id)
         VALUES ($1, 0, $2, $3, 1999, 'usd', $4, $5)",
    )
    .bind(id)
    .bind(title)
    .bind(key)
    .bind(seller)
    .bind(order)
    .execute(&mut **tickets)
    .await?;
    sqlx::query(
        "INSERT INTO tickets (id, version, title, amount, currency, user_id) VALUES ($1, 0, $2, 1999, 'usd', $3)",
    )
    .bind(id)
    .bind(title)
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
