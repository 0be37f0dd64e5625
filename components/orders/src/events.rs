//! The events of orders, and the handlers of the events about tickets, payments
//! and expiration.

use ::events::{
    CancelReason, ExpirationComplete, OrderStatus, PaymentCreated, PaymentDeclined, PaymentPending, TicketCopied,
    TicketCreated, TicketHeld, TicketState, TicketStatus, TicketUpdated, TicketWithdrawing, TicketWithdrawn,
    WithdrawalDecided,
};
use ticketing_sdk::messaging::{Delivery, Dispatch, Disposition, Event, Handled};
use ticketing_sdk::replica::{self, Decision};
use ticketing_sdk::store::Tx;
use ticketing_sdk::{Result, log};

use crate::domain::Order;
use crate::store;

/// Handles an event.
pub(crate) fn handle(event: Event, tx: &Tx<'_>) -> Handled {
    Dispatch::of(event, tx)
        .to(|event: &Delivery<TicketCreated>, tx| copy_ticket(&event.0, event.delivery_attempt, tx))
        .to(ticket_updated)
        .to(ticket_held)
        .to(ticket_withdrawing)
        .to(|event: &Delivery<TicketWithdrawn>, tx| Ok(store::withdraw_ticket(tx, &event.id)?))
        .to(expiration_complete)
        .to(payment_pending)
        .to(payment_declined)
        .to(payment_created)
        .finish()
}

/// The response to an edit waits for the confirmation. A reserved ticket cannot be
/// edited.
fn ticket_updated(event: &Delivery<TicketUpdated>, tx: &Tx<'_>) -> Handled {
    let TicketUpdated(ticket) = &**event;
    copy_ticket(ticket, event.delivery_attempt, tx)?;
    match ticket.order_id {
        Some(_) => Ok(()),
        None => Ok(tx.publish(&TicketCopied { id: ticket.id.clone(), version: ticket.version })?),
    }
}

fn copy_ticket(ticket: &TicketState, delivery_attempt: u32, tx: &Tx<'_>) -> Handled {
    // Nobody can order a sold ticket, so its copy is not needed any more.
    if ticket.status == Some(TicketStatus::Sold) {
        return Ok(());
    }
    let known = store::find_ticket(tx, &ticket.id)?.map(|copy| copy.ticket.version);
    if known.is_none() && store::is_withdrawn(tx, &ticket.id)? {
        return Ok(());
    }
    match replica::decide(known, ticket.version, delivery_attempt) {
        Decision::Ignore => return Ok(()),
        Decision::Wait(ms) => return Err(Disposition::Retry(Some(ms))),
        Decision::Apply => {}
        Decision::ApplyDespiteGap => log::warn(
            "replica",
            format_args!(
                "events about ticket {} are missing: its copy skips from version {known:?} to {}",
                ticket.id, ticket.version
            ),
        ),
    }
    Ok(store::update_ticket(tx, ticket)?)
}

/// Tells the end of the order again, because `tickets` has not heard it.
fn ticket_held(event: &Delivery<TicketHeld>, tx: &Tx<'_>) -> Handled {
    let order = find_order(tx, &event.order_id)?;
    if order.status == OrderStatus::Complete { Ok(tx.publish(&order.completed_event())?) } else { Ok(()) }
}

/// Grants the withdrawal of a ticket unless an order holds it. From then on
/// nobody can order the ticket.
fn ticket_withdrawing(event: &Delivery<TicketWithdrawing>, tx: &Tx<'_>) -> Handled {
    let is_granted = !store::is_held(tx, &event.id)?;
    if is_granted {
        store::withdraw_ticket(tx, &event.id)?;
    }
    let (id, ticket_id) = (event.withdrawal_id.clone(), event.id.clone());
    Ok(tx.publish(&WithdrawalDecided { id, ticket_id, is_granted })?)
}

fn expiration_complete(event: &Delivery<ExpirationComplete>, tx: &Tx<'_>) -> Handled {
    match find_order(tx, &event.order_id)?.expire() {
        None => Ok(()),
        Some(order) => Ok(save_cancelled(tx, &order, CancelReason::Expired)?),
    }
}

fn payment_pending(event: &Delivery<PaymentPending>, tx: &Tx<'_>) -> Handled {
    match find_order(tx, &event.order_id)?.payment_pending(event.attempt) {
        None => Ok(()),
        Some(order) => Ok(store::update(tx, &order)?),
    }
}

fn payment_declined(event: &Delivery<PaymentDeclined>, tx: &Tx<'_>) -> Handled {
    match find_order(tx, &event.order_id)?.payment_declined(event.attempt) {
        None => Ok(()),
        Some(order) => Ok(store::update(tx, &order)?),
    }
}

/// A cancelled order does not change. `payments` voids the authorization when
/// it handles the cancellation.
fn payment_created(event: &Delivery<PaymentCreated>, tx: &Tx<'_>) -> Handled {
    let order = find_order(tx, &event.order_id)?;
    match order.pay(&event.amount) {
        Ok(None) => Ok(()),
        Ok(Some(order)) => Ok(save_completed(tx, &order)?),
        Err(_) => {
            let reason = format!("the amount of payment {} is not the price of order {}", event.id, order.id);
            Err(Disposition::Reject(reason))
        }
    }
}

fn find_order(tx: &Tx<'_>, id: &str) -> Result<Order, Disposition> {
    store::find(tx, id)?.ok_or_else(|| Disposition::Reject(format!("the order {id} does not exist")))
}

/// Inserts a new order and publishes the event.
pub(crate) fn save_created(tx: &Tx<'_>, order: &Order) -> Result<()> {
    store::insert(tx, order)?;
    tx.publish(&order.created_event())
}

/// Saves a cancelled order and publishes the event.
pub(crate) fn save_cancelled(tx: &Tx<'_>, order: &Order, reason: CancelReason) -> Result<()> {
    store::update(tx, order)?;
    tx.publish(&order.cancelled_event(reason))
}

fn save_completed(tx: &Tx<'_>, order: &Order) -> Result<()> {
    store::update(tx, order)?;
    tx.publish(&order.completed_event())
}
