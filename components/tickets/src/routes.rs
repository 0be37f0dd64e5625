//! The HTTP routes of tickets.

use ::events::{Price, TicketCreated, TicketStatus, TicketUpdated};
use serde::Serialize;
use ticketing_sdk::paging::Page;
use ticketing_sdk::store::{Snapshot, transact};
use ticketing_sdk::{Error, Request, Response, Result, Router, id, settings};

use crate::domain::{self, Ticket};
use crate::store::{self, Selection};
use crate::{agreement, search, settlement, terms, withdrawal};

const MAX_SEARCH_CHARACTERS: usize = 200;
const PATH: &str = "/api/tickets";
/// The value of `seller` that stands for the signed-in user.
const OWN: &str = "me";
/// The time for which a request waits for the decision about a withdrawal.
const DECISION_MS: u32 = 2_000;

/// The routes of the component.
pub(crate) const ROUTES: Router = Router::new(&[
    ("GET", "/api/tickets/{id}", show),
    ("GET", PATH, list),
    ("POST", PATH, create),
    ("PUT", "/api/tickets/{id}", update),
    ("DELETE", "/api/tickets/{id}", withdraw),
]);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    id: &'a str,
    title: &'a str,
    price: Price,
    user_id: &'a str,
    version: i64,
    status: TicketStatus,
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
            status: ticket.status(),
            order_id: ticket.order_id.as_deref(),
        }
    }
}

fn show(request: &Request) -> Result<Response> {
    let ticket = store::find(&Snapshot, request.id_param("id")?)?.ok_or_else(Error::not_found)?;
    let response = respond(200, &ticket)?;
    settlement::settled(response, &[ticket])
}

fn list(request: &Request) -> Result<Response> {
    let seller = seller(request)?;
    let page = Page::of(request)?;
    let selection = seller.map_or(Selection::ForSale, Selection::Of);
    let text = request.query("q").unwrap_or_default();
    let terms = search_terms(&text)?;
    let found = search::page(selection, &page, &terms)?;
    let mut filters = Vec::new();
    if seller.is_some() {
        filters.push(("seller", OWN));
    }
    if !terms.is_empty() {
        filters.push(("q", text.as_str()));
    }
    let bodies: Vec<Body<'_>> = found.tickets.iter().map(Body::from).collect();
    let response = page.respond_until(&bodies, found.next.as_deref(), PATH, &filters)?;
    settlement::settled(response, &found.tickets)
}

fn search_terms(text: &str) -> Result<Vec<String>> {
    if text.chars().count() > MAX_SEARCH_CHARACTERS {
        return Err(Error::field("q", "q must be at most 200 characters"));
    }
    if text.contains('\0') {
        return Err(Error::field("q", "q must not contain a NUL"));
    }
    Ok(terms::of_search(text))
}

/// The seller whose tickets the request wants. `None` if it wants those for
/// sale. Everybody sees only their own tickets in every status.
fn seller(request: &Request) -> Result<Option<&str>> {
    match request.query("seller").as_deref() {
        None => Ok(None),
        Some(OWN) => Ok(Some(&request.signed_in()?.id)),
        Some(_) => Err(Error::field("seller", "seller must be `me`")),
    }
}

fn create(request: &Request) -> Result<Response> {
    let seller = request.signed_in()?;
    let (title, price) = title_and_price(request)?;
    let ticket = Ticket::new(id::new(), title, price, seller.id.clone());
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
    let listener = agreement::listen(id)?;
    let ticket = transact(|tx| {
        let ticket = store::find(tx, id)?.ok_or_else(Error::not_found)?;
        if ticket.user_id != seller.id {
            return Err(Error::not_authorized());
        }
        if let Some(refusal) = ticket.edit_refusal() {
            return Err(Error::bad_request(refusal));
        }
        request.check_if_match(ticket.version)?;
        let edited = ticket.edited(title.clone(), price);
        store::update_title_and_price(tx, &ticket, &edited)?;
        tx.publish(&TicketUpdated(edited.clone().into()))?;
        Ok(edited)
    })?;
    agreement::await_confirmation(&listener, &ticket)?;
    respond(200, &ticket)
}

/// Withdraws a ticket from sale. The second withdrawal of a ticket by its seller
/// is answered like the first one.
fn withdraw(request: &Request) -> Result<Response> {
    let seller = request.signed_in()?;
    let id = request.id_param("id")?;
    match transact(|tx| withdrawal::request(tx, request, id, &seller.id))? {
        withdrawal::State::Done => Ok(Response::empty(204)),
        withdrawal::State::Undecided => Ok(Response::busy().ask_again_for(DECISION_MS)),
    }
}

/// The title and the price in the body of the request.
fn title_and_price(request: &Request) -> Result<(String, Price)> {
    let lowest = settings::get::<i64>("minimum-price-cents")?;
    let mut fields = request.fields()?;
    let title = fields.text("title", domain::title);
    let price = fields.json("price", |json| domain::chargeable(domain::price(json)?, lowest));
    match (title, price) {
        (Some(title), Some(price)) => Ok((title, price)),
        _ => Err(fields.into_error()),
    }
}

fn respond(status: u16, ticket: &Ticket) -> Result<Response> {
    Ok(Response::json(status, &Body::from(ticket))?.version(ticket.version))
}
