//! Reservations.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use events::{
    ExpirationComplete, Money, OrderCompleted, OrderCreated, OrderStatus, OrderedTicket, Parties, Price, TicketRef,
    TicketUpdated,
};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row as _};
use ticketing_sdk::Timestamp;
use uuid::Uuid;

use super::super::database::{Connection, Row};
use super::super::ticket::Ticket;
use super::tickets::state;
use super::{Answer, Failure, Shared, cancel_timer, now_ms, publish, schedule};

const HELD_MS: i64 = 60_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wanted {
    ticket_id: String,
}

pub(super) struct Order {
    pub(super) id: String,
    version: i64,
    pub(super) user_id: String,
    pub(super) status: String,
    pub(super) expires_ms: i64,
    ticket_id: String,
    ticket_version: i64,
    title: String,
    pub(super) amount: i64,
    pub(super) currency: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    id: &'a str,
    user_id: &'a str,
    status: &'a str,
    expires_at: Timestamp,
    version: i64,
    ticket: TicketBody<'a>,
}

#[derive(Serialize)]
struct TicketBody<'a> {
    id: &'a str,
    title: &'a str,
    price: Price,
    version: i64,
}

impl<'r> FromRow<'r, Row> for Order {
    fn from_row(row: &'r Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            version: row.try_get("version")?,
            user_id: row.try_get("user_id")?,
            status: row.try_get("status")?,
            expires_ms: row.try_get("expires_ms")?,
            ticket_id: row.try_get("ticket_id")?,
            ticket_version: row.try_get("ticket_version")?,
            title: row.try_get("title")?,
            amount: row.try_get("amount")?,
            currency: row.try_get("currency")?,
        })
    }
}

pub(super) async fn create(State(app): Shared, headers: HeaderMap, Json(wanted): Json<Wanted>) -> Answer {
    let buyer = app.accounts.user(&headers)?;
    let mut transaction = app.database.begin().await?;
    let ticket: Ticket =
        sqlx::query_as("SELECT id, version, title, amount, currency, user_id, order_id FROM tickets WHERE id = $1")
            .bind(&wanted.ticket_id)
            .fetch_one(&mut *transaction)
            .await?;
    if ticket.user_id == buyer {
        return Err(Failure::bad_request("You cannot buy your own ticket"));
    }
    if ticket.order_id.is_some() {
        return Err(Failure::bad_request("Ticket is already reserved"));
    }
    let order = Order {
        id: Uuid::now_v7().to_string(),
        version: 0,
        user_id: buyer,
        status: OrderStatus::Created.as_str().to_owned(),
        expires_ms: now_ms() + HELD_MS,
        ticket_id: ticket.id.clone(),
        ticket_version: ticket.version,
        title: ticket.title.clone(),
        amount: ticket.amount,
        currency: ticket.currency.clone(),
    };
    insert(&mut transaction, &order).await?;
    publish(&mut transaction, &created(&order)).await?;
    let expired = ExpirationComplete { order_id: order.id.clone() };
    schedule(&mut transaction, &order.id, order.expires_ms, &expired).await?;
    hold(&mut transaction, ticket, &order.id).await?;
    app.database.commit(transaction).await?;
    Ok(respond(StatusCode::CREATED, &order))
}

pub(super) async fn show(State(app): Shared, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    let buyer = app.accounts.user(&headers)?;
    let order = sqlx::query_as::<_, Order>(SELECT).bind(id).fetch_one(&app.database.read).await?;
    if order.user_id != buyer {
        return Err(Failure(StatusCode::UNAUTHORIZED, "Not authorized".to_owned()));
    }
    Ok(respond(StatusCode::OK, &order))
}

const SELECT: &str = "SELECT id, version, user_id, status, expires_ms, pending_attempt, settled_attempt,
        ticket_id, ticket_version, title, amount, currency
     FROM orders WHERE id = $1";

pub(super) async fn find(connection: &mut Connection, id: &str) -> Result<Order, Failure> {
    Ok(sqlx::query_as(SELECT).bind(id).fetch_one(connection).await?)
}

/// Updates the order's status, version and payment attempt.
pub(super) async fn change(connection: &mut Connection, order: &mut Order, status: OrderStatus) -> Result<(), Failure> {
    sqlx::query(
        "UPDATE orders SET version = version + 1, status = $3, pending_attempt = $4, settled_attempt = $5
         WHERE id = $1 AND version = $2",
    )
    .bind(&order.id)
    .bind(order.version)
    .bind(status.as_str())
    .bind(1)
    .bind(0)
    .execute(connection)
    .await?;
    order.version += 1;
    status.as_str().clone_into(&mut order.status);
    Ok(())
}

pub(super) async fn complete(connection: &mut Connection, order: &mut Order) -> Result<(), Failure> {
    change(connection, order, OrderStatus::Complete).await?;
    let price = Money { amount: order.amount, currency: order.currency.clone() };
    let ticket = TicketRef { id: order.ticket_id.clone(), price: Some(price) };
    let parties = Parties { user_id: Some(order.user_id.clone()), seller_id: None };
    publish(connection, &OrderCompleted { id: order.id.clone(), version: order.version, ticket, parties }).await?;
    cancel_timer(connection, &order.id).await?;
    Ok(())
}

async fn insert(connection: &mut Connection, order: &Order) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO orders (id, version, user_id, status, expires_ms,
            ticket_id, ticket_version, title, amount, currency)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&order.id)
    .bind(order.version)
    .bind(&order.user_id)
    .bind(&order.status)
    .bind(order.expires_ms)
    .bind(&order.ticket_id)
    .bind(order.ticket_version)
    .bind(&order.title)
    .bind(order.amount)
    .bind(&order.currency)
    .execute(connection)
    .await?;
    Ok(())
}

async fn hold(connection: &mut Connection, mut ticket: Ticket, order_id: &str) -> Result<(), Failure> {
    sqlx::query("SELECT order_id FROM released_orders WHERE order_id = $1")
        .bind(order_id)
        .fetch_optional(&mut *connection)
        .await?;
    sqlx::query("UPDATE tickets SET version = version + 1, order_id = $3 WHERE id = $1 AND version = $2")
        .bind(&ticket.id)
        .bind(ticket.version)
        .bind(order_id)
        .execute(&mut *connection)
        .await?;
    ticket.version += 1;
    ticket.order_id = Some(order_id.to_owned());
    publish(connection, &TicketUpdated(state(&ticket))).await
}

fn created(order: &Order) -> OrderCreated {
    OrderCreated {
        id: order.id.clone(),
        version: order.version,
        status: OrderStatus::Created,
        user_id: order.user_id.clone(),
        seller_id: None,
        expires_at: Timestamp(order.expires_ms),
        ticket: OrderedTicket {
            id: order.ticket_id.clone(),
            price: Money { amount: order.amount, currency: order.currency.clone() },
        },
    }
}

fn respond(status: StatusCode, order: &Order) -> Response {
    let body = Body {
        id: &order.id,
        user_id: &order.user_id,
        status: &order.status,
        expires_at: Timestamp(order.expires_ms),
        version: order.version,
        ticket: TicketBody {
            id: &order.ticket_id,
            title: &order.title,
            price: Price(order.amount),
            version: order.ticket_version,
        },
    };
    (status, [(header::ETAG, format!("\"{}\"", order.version))], Json(body)).into_response()
}
