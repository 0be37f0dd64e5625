//! The baseline of `GET /api/tickets/{id}`.

use std::path::Path as FilePath;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use events::Price;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use super::database::Database;

const TABLES: &str = include_str!("../../../../components/tickets/migrations/0001_tickets.sql");

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

/// A ticket as it is kept.
pub(super) struct Ticket {
    pub(super) id: String,
    pub(super) version: i64,
    pub(super) title: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) user_id: String,
    pub(super) order_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    id: &'a str,
    title: &'a str,
    price: Price,
    user_id: &'a str,
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
}

/// Makes a file with these tickets.
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

pub(super) fn respond(status: StatusCode, ticket: &Ticket) -> Response {
    (status, [(header::ETAG, format!("\"{}\"", ticket.version))], Json(ticket.body())).into_response()
}

impl<'r> FromRow<'r, SqliteRow> for Ticket {
    fn from_row(row: &'r SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            version: row.try_get("version")?,
            title: row.try_get("title")?,
            amount: row.try_get("amount")?,
            currency: row.try_get("currency")?,
            user_id: row.try_get("user_id")?,
            order_id: row.try_get("order_id")?,
        })
    }
}

impl Ticket {
    pub(super) fn body(&self) -> Body<'_> {
        Body {
            id: &self.id,
            title: &self.title,
            price: Price(self.amount),
            user_id: &self.user_id,
            version: self.version,
            order_id: self.order_id.as_deref(),
        }
    }
}
