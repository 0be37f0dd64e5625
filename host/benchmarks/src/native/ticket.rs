//! A ticket in the database, and its form in the API.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use events::Price;
use serde::Serialize;
use sqlx::{FromRow, Row as _};

use super::database::Row;

/// A row of the table of tickets.
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
    status: &'static str,
}

pub(super) fn respond(status: StatusCode, ticket: &Ticket) -> Response {
    (status, [(header::ETAG, format!("\"{}\"", ticket.version))], Json(ticket.body())).into_response()
}

impl<'r> FromRow<'r, Row> for Ticket {
    fn from_row(row: &'r Row) -> sqlx::Result<Self> {
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
            status: if self.order_id.is_none() { "available" } else { "reserved" },
        }
    }
}
