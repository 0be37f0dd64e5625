//! The HTTP routes of tickets.

use ::events::{Money, Price, TicketCreated, TicketUpdated};
use serde::Serialize;
use ticketing_sdk::paging::Page;
use ticketing_sdk::store::{Snapshot, transact};
use ticketing_sdk::{Error, Request, Response, Result, Router, id};

use crate::domain::{self, Ticket};
use crate::store;

const MAX_SEARCH_CHARACTERS: usize = 200;

/// The routes of the component.
pub(crate) const ROUTES: Router = Router::new(&[
    ("GET", "/api/tickets/{id}", show),
    ("GET", "/api/tickets", list),
    ("POST", "/api/tickets", create),
    ("PUT", "/api/tickets/{id}", update),
]);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    id: &'a str,
    title: &'a str,
    price: Price,
    user_id: &'a str,
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
}

impl<'a> From<&'a Ticket> for Body<'a> {
    fn from(ticket: &'a Ticket) -> Self {
        Self {
            id: &ticket.id,
            title: &ticket.title,
            price: ticket.price.price(),
            user_id: &ticket.user_id,
            version: ticket.version,
            order_id: ticket.order_id.as_deref(),
        }
    }
}

fn show(request: &Request) -> Result<Response> {
    let ticket = store::find(&Snapshot, request.id_param("id")?)?.ok_or_else(Error::not_found)?;
    respond(200, &ticket)
}

fn list(request: &Request) -> Result<Response> {
    let page = Page::of(request)?;
    let search = request.query("q").filter(|text| !text.trim().is_empty());
    if let Some(text) = &search
        && (text.chars().count() > MAX_SEARCH_CHARACTERS || text.contains('\0'))
    {
        return Err(Error::field("q", "q must be at most 200 characters"));
    }
    let pattern = search.as_deref().map(domain::search_pattern);
    let tickets = store::list_for_sale(&page, pattern.as_deref())?;
    let filters: Vec<(&str, &str)> = search.iter().map(|text| ("q", text.as_str())).collect();
    let bodies = tickets.iter().map(Body::from).collect();
    page.respond(bodies, |body| body.id, "/api/tickets", &filters)
}

fn create(request: &Request) -> Result<Response> {
    let seller = request.signed_in()?;
    let (title, price) = title_and_price(request)?;
    let ticket = Ticket {
        id: id::new(),
        version: 0,
        title,
        price: Money::usd(price.0),
        user_id: seller.id.clone(),
        order_id: None,
    };
    transact(|tx| {
        store::insert(tx, &ticket)?;
        tx.publish(&TicketCreated(ticket.clone().into()))
    })?;
    respond(201, &ticket)
}

fn update(request: &Request) -> Result<Response> {
    let seller = request.signed_in()?;
    let (title, price) = title_and_price(request)?;
    let id = request.id_param("id")?;
    let ticket = transact(|tx| {
        let ticket = store::find(tx, id)?.ok_or_else(Error::not_found)?;
        if ticket.user_id != seller.id {
            return Err(Error::not_authorized());
        }
        if ticket.order_id.is_some() {
            return Err(Error::bad_request("Cannot edit a reserved ticket"));
        }
        request.check_if_match(ticket.version)?;
        let edited = ticket.edited(title.clone(), price);
        store::update_title_and_price(tx, &edited)?;
        tx.publish(&TicketUpdated(edited.clone().into()))?;
        Ok(edited)
    })?;
    respond(200, &ticket)
}

/// The title and the price in the body of the request.
fn title_and_price(request: &Request) -> Result<(String, Price)> {
    let mut fields = request.fields()?;
    let title = fields.text("title", domain::title);
    let price = fields.json("price", domain::price);
    match (title, price) {
        (Some(title), Some(price)) => Ok((title, price)),
        _ => Err(fields.into_error()),
    }
}

fn respond(status: u16, ticket: &Ticket) -> Result<Response> {
    Ok(Response::json(status, &Body::from(ticket))?.version(ticket.version))
}
