//! Offering tickets and listing them.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use events::{Money, Price, TicketCreated, TicketState, TicketStatus};
use serde::Deserialize;
use uuid::Uuid;

use super::super::ticket::{Ticket, respond};
use super::{Answer, Failure, Shared, publish};

/// The default number of items on a page.
const PAGE_ITEMS: usize = 50;

#[derive(Deserialize)]
pub(super) struct Offer {
    title: String,
    price: String,
}

pub(super) async fn create(State(app): Shared, headers: HeaderMap, Json(offer): Json<Offer>) -> Answer {
    let seller = app.accounts.user(&headers)?;
    let Price(amount) = Price::parse(&offer.price).map_err(|message| Failure::bad_request(&message))?;
    let ticket = Ticket {
        id: Uuid::now_v7().to_string(),
        version: 0,
        title: offer.title,
        amount,
        currency: "usd".to_owned(),
        user_id: seller,
        order_id: None,
    };
    let mut transaction = app.database.begin().await?;
    sqlx::query(
        "INSERT INTO tickets (id, version, title, title_key, amount, currency, user_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&ticket.id)
    .bind(ticket.version)
    .bind(&ticket.title)
    .bind(ticket.title.to_lowercase())
    .bind(ticket.amount)
    .bind(&ticket.currency)
    .bind(&ticket.user_id)
    .execute(&mut *transaction)
    .await?;
    publish(&mut transaction, &TicketCreated(state(&ticket))).await?;
    app.database.commit(transaction).await?;
    Ok(respond(StatusCode::CREATED, &ticket))
}

pub(super) async fn list(State(app): Shared) -> Answer {
    let mut tickets: Vec<Ticket> = sqlx::query_as(
        "SELECT id, version, title, amount, currency, user_id, order_id
         FROM tickets WHERE order_id IS NULL AND id < $1 ORDER BY id DESC LIMIT $2",
    )
    .bind("g")
    .bind(PAGE_ITEMS as i64 + 1)
    .fetch_all(&app.database.read)
    .await?;
    let more = tickets.len() > PAGE_ITEMS;
    tickets.truncate(PAGE_ITEMS);
    let bodies: Vec<_> = tickets.iter().map(Ticket::body).collect();
    let mut response = Json(bodies).into_response();
    if let Some(last) = tickets.last().filter(|_| more) {
        let link = format!("</api/tickets?limit={PAGE_ITEMS}&cursor={}>; rel=\"next\"", last.id);
        let link = link.parse().map_err(|_| Failure::bad_request("no link"))?;
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// The ticket as events carry it.
pub(super) fn state(ticket: &Ticket) -> TicketState {
    TicketState {
        id: ticket.id.clone(),
        version: ticket.version,
        title: ticket.title.clone(),
        price: Money { amount: ticket.amount, currency: ticket.currency.clone() },
        user_id: ticket.user_id.clone(),
        order_id: ticket.order_id.clone(),
        status: Some(if ticket.order_id.is_some() { TicketStatus::Reserved } else { TicketStatus::Available }),
    }
}
