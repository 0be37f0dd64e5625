//! The HTTP routes of orders.

use ::events::{CancelReason, OrderStatus, Price};
use serde::Serialize;
use ticketing_sdk::paging::Page;
use ticketing_sdk::store::{Snapshot, Tx, transact};
use ticketing_sdk::{Error, Request, Response, Result, Router, Timestamp, id, now_ms, settings};

use crate::domain::Order;
use crate::seen::{self, Seen};
use crate::store::TicketCopy;
use crate::{events, holds, store};

/// The routes of the component.
pub(crate) const ROUTES: Router = Router::new(&[
    ("GET", "/api/orders/{id}", show),
    ("POST", "/api/orders", create),
    ("GET", "/api/orders", list),
    ("DELETE", "/api/orders/{id}", cancel),
]);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    id: &'a str,
    user_id: &'a str,
    status: OrderStatus,
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

impl<'a> From<&'a Order> for Body<'a> {
    fn from(order: &'a Order) -> Self {
        Self {
            id: &order.id,
            user_id: &order.user_id,
            status: order.status,
            expires_at: order.expires_at,
            version: order.version,
            ticket: TicketBody {
                id: &order.ticket.id,
                title: &order.ticket.title,
                price: order.ticket.price.price(),
                version: order.ticket.version,
            },
        }
    }
}

fn create(request: &Request) -> Result<Response> {
    let buyer = request.signed_in()?;
    let mut fields = request.fields()?;
    let ticket_id = fields.text("ticketId", |text| Ok(text.to_owned()));
    let version = fields.json("version", seen::version);
    let (Some(ticket_id), Some(version)) = (ticket_id, version) else {
        return Err(fields.into_error());
    };
    let seen = Seen::new(request, version);
    let limits = holds::Limits {
        max_unpaid: settings::get("max-unpaid-orders")?,
        hold_ms: settings::get::<i64>("order-expiration-seconds")?.saturating_mul(1_000),
    };

    let reserved = transact(|tx| {
        let copy = find_ticket(tx, &ticket_id)?;
        if copy.seller_id == buyer.id {
            return Err(Error::bad_request("You cannot buy your own ticket"));
        }
        if !seen.is(copy.ticket.version) {
            return if store::is_held(tx, &ticket_id)? { Err(store::already_reserved()) } else { Ok(Err(copy)) };
        }
        let now_ms = now_ms();
        let expires_at = Timestamp(now_ms.saturating_add(limits.hold_ms));
        let order = Order::new(id::new(), buyer.id.clone(), copy.seller_id, copy.ticket, expires_at);
        events::save_created(tx, &order)?;
        holds::check(tx, &order, limits, now_ms)?;
        Ok(Ok(order))
    })?;
    match reserved {
        Ok(order) => respond(201, &order),
        Err(current) => seen.refuse(&current),
    }
}

fn find_ticket(tx: &Tx<'_>, id: &str) -> Result<TicketCopy> {
    match store::find_ticket(tx, id)? {
        Some(copy) => Ok(copy),
        None if store::is_withdrawn(tx, id)? => Err(Error::not_found()),
        None => Err(Error::copy_not_found(id)),
    }
}

fn list(request: &Request) -> Result<Response> {
    let buyer = request.signed_in()?;
    let page = Page::of(request)?;
    let orders = store::list_by_user(&page, &buyer.id)?;
    let bodies = orders.iter().map(Body::from).collect();
    page.respond(bodies, |body| body.id, "/api/orders", &[])
}

fn show(request: &Request) -> Result<Response> {
    let buyer = request.signed_in()?;
    let order = store::find(&Snapshot, request.id_param("id")?)?.ok_or_else(Error::not_found)?;
    if order.user_id != buyer.id {
        return Err(Error::not_authorized());
    }
    respond(200, &order)
}

fn cancel(request: &Request) -> Result<Response> {
    let buyer = request.signed_in()?;
    let id = request.id_param("id")?;
    transact(|tx| {
        let order = store::find(tx, id)?.ok_or_else(Error::not_found)?;
        if order.user_id != buyer.id {
            return Err(Error::not_authorized());
        }
        match order.cancel() {
            Ok(None) => Ok(()),
            Ok(Some(order)) => events::save_cancelled(tx, &order, CancelReason::User),
            Err(_) => Err(Error::bad_request("Cannot cancel a completed order")),
        }
    })?;
    Ok(Response::empty(204))
}

fn respond(status: u16, order: &Order) -> Result<Response> {
    Ok(Response::json(status, &Body::from(order))?.version(order.version))
}
