//! What orders says, and what it does about tickets, payments and time.

use ::events::{
    CancelReason, ExpirationComplete, OrderCancelled, OrderCompleted, OrderCreated, OrderedTicket, PaymentCreated,
    PaymentDeclined, PaymentPending, Ticket, TicketCreated, TicketRef, TicketUpdated,
};
use ticketing_sdk::messaging::{Delivery, Dispatch, Disposition, Event, Handled};
use ticketing_sdk::replica::{self, Step};
use ticketing_sdk::store::Tx;
use ticketing_sdk::{Result, log};

use crate::domain::Order;
use crate::store;

/// Applies an event.
pub(crate) fn handle(event: Event, tx: &Tx<'_>) -> Handled {
    Dispatch::of(event, tx)
        .to(|event: &Delivery<TicketCreated>, tx| replicate(&event.0, event.delivery, tx))
        .to(|event: &Delivery<TicketUpdated>, tx| replicate(&event.0, event.delivery, tx))
        .to(expiration_complete)
        .to(payment_pending)
        .to(payment_declined)
        .to(payment_created)
        .finish()
}

fn replicate(ticket: &Ticket, delivery: u32, tx: &Tx<'_>) -> Handled {
    let known = store::offer(tx, &ticket.id)?.map(|offer| offer.ticket.version);
    match replica::step(known, ticket.version, delivery) {
        Step::Ignore => return Ok(()),
        Step::Wait(ms) => return Err(Disposition::Retry(Some(ms))),
        Step::Apply => {}
        Step::ApplyOverGap => log::warn(
            "replica",
            &format!("ticket {} goes from {known:?} to {}: events are missing", ticket.id, ticket.version),
        ),
    }
    Ok(store::replicate(tx, ticket)?)
}

fn expiration_complete(event: &Delivery<ExpirationComplete>, tx: &Tx<'_>) -> Handled {
    match order(tx, &event.order_id)?.expire() {
        None => Ok(()),
        Some(order) => Ok(cancelled(tx, &order, CancelReason::Expired)?),
    }
}

fn payment_pending(event: &Delivery<PaymentPending>, tx: &Tx<'_>) -> Handled {
    match order(tx, &event.order_id)?.payment_pending(event.attempt) {
        None => Ok(()),
        Some(order) => Ok(store::update(tx, &order)?),
    }
}

fn payment_declined(event: &Delivery<PaymentDeclined>, tx: &Tx<'_>) -> Handled {
    match order(tx, &event.order_id)?.payment_declined(event.attempt) {
        None => Ok(()),
        Some(order) => Ok(store::update(tx, &order)?),
    }
}

/// For an order that is cancelled, nothing: payments lets the money go when it
/// learns of that.
fn payment_created(event: &Delivery<PaymentCreated>, tx: &Tx<'_>) -> Handled {
    let order = order(tx, &event.order_id)?;
    match order.pay(&event.amount) {
        Ok(None) => Ok(()),
        Ok(Some(order)) => Ok(completed(tx, &order)?),
        Err(_) => Err(Disposition::Reject(format!("payment {} is not of the amount of order {}", event.id, order.id))),
    }
}

fn order(tx: &Tx<'_>, id: &str) -> Result<Order, Disposition> {
    store::find(tx, id)?.ok_or_else(|| Disposition::Reject(format!("no order {id}")))
}

/// Keeps a new order and says so.
pub(crate) fn created(tx: &Tx<'_>, order: &Order) -> Result<()> {
    store::insert(tx, order)?;
    tx.publish(&OrderCreated {
        id: order.id.clone(),
        version: order.version,
        status: order.status,
        user_id: order.user_id.clone(),
        expires_at: order.expires_at,
        ticket: OrderedTicket { id: order.ticket.id.clone(), price: order.ticket.price.clone() },
    })
}

/// Keeps a cancelled order and says so.
pub(crate) fn cancelled(tx: &Tx<'_>, order: &Order, reason: CancelReason) -> Result<()> {
    store::update(tx, order)?;
    tx.publish(&OrderCancelled { id: order.id.clone(), version: order.version, ticket: ticket(order), reason })
}

fn completed(tx: &Tx<'_>, order: &Order) -> Result<()> {
    store::update(tx, order)?;
    tx.publish(&OrderCompleted { id: order.id.clone(), version: order.version, ticket: ticket(order) })
}

fn ticket(order: &Order) -> TicketRef {
    TicketRef { id: order.ticket.id.clone() }
}
