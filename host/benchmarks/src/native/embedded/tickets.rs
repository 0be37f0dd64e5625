//! The baseline of `GET /api/tickets/{id}`.

use std::path::Path as FilePath;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use events::Price;
use serde::Deserialize;
use uuid::Uuid;

use super::database::Database;
use super::ticket::{Ticket, respond};

const TABLES: &str = include_str!("../../../../../components/tickets/migrations/0001_tickets.sql");

/// A ticket as the API shows it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    id: String,
    title: String,
    price: serde_json::Number,
    user_id: String,
    version: i64,
}

/// Makes a SQLite file with these tickets.
pub(crate) async fn fill(file: &FilePath, rows: &[Row]) -> anyhow::Result<()> {
    let database = Database::open(file).await?;
    sqlx::raw_sql(TABLES).execute(&database.write).await?;
    let mut transaction = database.write.begin().await?;
    for row in rows {
        let Price(amount) = Price::parse(&row.price.to_string()).map_err(anyhow::Error::msg)?;
        sqlx::query(
            "INSERT INTO tickets (id, version, title, title_key, amount, currency, user_id)
             VALUES ($1, $2, $3, $4, $5, 'usd', $6)",
        )
        .bind(&row.id)
        .bind(row.version)
        .bind(&row.title)
        .bind(row.title.to_lowercase())
        .bind(amount)
        .bind(&row.user_id)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    database.write.close().await;
    database.read.close().await;
    Ok(())
}

pub(super) async fn router(file: &FilePath) -> anyhow::Result<Router> {
    let database = Database::open(file).await?;
    Ok(Router::new().route("/api/tickets/{id}", get(show)).with_state(database))
}

async fn show(State(database): State<Database>, Path(id): Path<String>) -> Response {
    if Uuid::try_parse(&id).is_err() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let ticket: sqlx::Result<Option<Ticket>> = sqlx::query_as(
        "SELECT id, version, title, amount, currency, user_id, order_id
         FROM tickets WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(&database.read)
    .await;
    match ticket {
        Ok(Some(ticket)) => respond(StatusCode::OK, &ticket),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
