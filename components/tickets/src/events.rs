//! What tickets says, and what it does about orders.

use ::events::{OrderCancelled, OrderCreated, Ticket as Payload, TicketUpdated};
use ticketing_sdk::messaging::{Delivery, Dispatch, Disposition, Event, Handled};
use ticketing_sdk::store::Tx;
use ticketing_sdk::{log, replica};

use crate::domain::{Step, Ticket};
use crate::store;

/// Applies an event of an order.
pub(crate) fn handle(event: Event, tx: &Tx<'_>) -> Handled {
    Dispatch::of(event, tx).to(order_created).to(order_cancelled).finish()
}

fn order_created(order: &Delivery<OrderCreated>, tx: &Tx<'_>) -> Handled {
    let Some(ticket) = store::find(tx, &order.ticket.id)? else {
        return Err(Disposition::Reject(format!("no ticket {}", order.ticket.id)));
    };
    match ticket.reserve(&order.id, store::is_released(tx, &order.id)?) {
        Step::Ignore => Ok(()),
        Step::Wait => Err(Disposition::Retry(Some(replica::wait_ms(order.delivery)))),
        Step::Change(ticket) => change(tx, ticket),
    }
}

fn order_cancelled(order: &Delivery<OrderCancelled>, tx: &Tx<'_>) -> Handled {
    store::mark_released(tx, &order.id)?;
    let Some(ticket) = store::find(tx, &order.ticket.id)? else {
        log::warn("order.cancelled", "its ticket does not exist");
        return Ok(());
    };
    match ticket.release(&order.id) {
        Step::Ignore | Step::Wait => Ok(()),
        Step::Change(ticket) => change(tx, ticket),
    }
}

fn change(tx: &Tx<'_>, ticket: Ticket) -> Handled {
    store::hold(tx, &ticket)?;
    tx.publish(&TicketUpdated(ticket.into()))?;
    Ok(())
}

impl From<Ticket> for Payload {
    fn from(ticket: Ticket) -> Self {
        Self {
            id: ticket.id,
            version: ticket.version,
            title: ticket.title,
            price: ticket.price,
            user_id: ticket.user_id,
            order_id: ticket.order_id,
        }
    }
}
