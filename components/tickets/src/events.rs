//! The events of tickets, and the handlers of the events about orders and
//! withdrawals.

use ::events::{OrderCancelled, OrderCompleted, OrderCreated, TicketState, TicketUpdated, WithdrawalDecided};
use ticketing_sdk::messaging::{Delivery, Dispatch, Disposition, Event, Handled};
use ticketing_sdk::store::Tx;
use ticketing_sdk::{log, replica};

use crate::domain::{Ticket, Transition};
use crate::{agreement, store, withdrawal};

/// Handles an event.
pub(crate) fn handle(event: Event, tx: &Tx<'_>) -> Handled {
    Dispatch::of(event, tx)
        .to(order_created)
        .to(order_cancelled)
        .to(order_completed)
        .to(withdrawal_decided)
        .to(agreement::ticket_copied)
        .finish()
}

fn order_created(order: &Delivery<OrderCreated>, tx: &Tx<'_>) -> Handled {
    let Some(ticket) = find(tx, &order.ticket.id)? else { return Ok(()) };
    let transition = ticket.reserve(&order.id, store::is_order_released(tx, &order.id)?);
    apply(tx, transition, order.delivery_attempt)
}

fn order_completed(order: &Delivery<OrderCompleted>, tx: &Tx<'_>) -> Handled {
    let Some(ticket) = find(tx, &order.ticket.id)? else { return Ok(()) };
    apply(tx, ticket.sell(&order.id), order.delivery_attempt)
}

fn order_cancelled(order: &Delivery<OrderCancelled>, tx: &Tx<'_>) -> Handled {
    store::mark_order_released(tx, &order.id)?;
    let Some(ticket) = store::find(tx, &order.ticket.id)? else {
        log::info("order.cancelled", format_args!("there is no ticket {} for the cancelled order", order.ticket.id));
        return Ok(());
    };
    apply(tx, ticket.release(&order.id), order.delivery_attempt)
}

fn withdrawal_decided(decision: &Delivery<WithdrawalDecided>, tx: &Tx<'_>) -> Handled {
    Ok(withdrawal::apply(tx, decision)?)
}

/// The ticket of an order. `None` if its seller has withdrawn it. An order of a
/// withdrawn ticket was cancelled before the withdrawal.
fn find(tx: &Tx<'_>, id: &str) -> Result<Option<Ticket>, Disposition> {
    let ticket = store::find(tx, id)?;
    if ticket.is_none() && store::withdrawn_by(tx, id)?.is_none() {
        return Err(Disposition::Reject(format!("the ticket {id} does not exist")));
    }
    Ok(ticket)
}

fn apply(tx: &Tx<'_>, transition: Transition, delivery_attempt: u32) -> Handled {
    match transition {
        Transition::Unchanged => Ok(()),
        Transition::Blocked => Err(Disposition::Retry(Some(replica::retry_delay_ms(delivery_attempt)))),
        Transition::To(ticket) => {
            store::update_holder(tx, &ticket)?;
            Ok(tx.publish(&TicketUpdated(ticket.into()))?)
        }
    }
}

impl From<Ticket> for TicketState {
    fn from(ticket: Ticket) -> Self {
        Self {
            status: Some(ticket.status()),
            id: ticket.id,
            version: ticket.version,
            title: ticket.title,
            price: ticket.price,
            user_id: ticket.user_id,
            order_id: ticket.order_id,
        }
    }
}
