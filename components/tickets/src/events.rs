//! The events of tickets, and the handlers of order events.

use ::events::{OrderCancelled, OrderCreated, TicketState, TicketUpdated};
use ticketing_sdk::messaging::{Delivery, Dispatch, Disposition, Event, Handled};
use ticketing_sdk::store::Tx;
use ticketing_sdk::{log, replica};

use crate::domain::{Ticket, Transition};
use crate::store;

/// Handles an event of an order.
pub(crate) fn handle(event: Event, tx: &Tx<'_>) -> Handled {
    Dispatch::of(event, tx).to(order_created).to(order_cancelled).finish()
}

fn order_created(order: &Delivery<OrderCreated>, tx: &Tx<'_>) -> Handled {
    let Some(ticket) = store::find(tx, &order.ticket.id)? else {
        return Err(Disposition::Reject(format!("the ticket {} does not exist", order.ticket.id)));
    };
    match ticket.reserve(&order.id, store::is_order_released(tx, &order.id)?) {
        Transition::Unchanged => Ok(()),
        Transition::Blocked => Err(Disposition::Retry(Some(replica::retry_delay_ms(order.delivery_attempt)))),
        Transition::To(ticket) => update_holder(tx, ticket),
    }
}

fn order_cancelled(order: &Delivery<OrderCancelled>, tx: &Tx<'_>) -> Handled {
    store::mark_order_released(tx, &order.id)?;
    let Some(ticket) = store::find(tx, &order.ticket.id)? else {
        log::warn("order.cancelled", &format!("the ticket {} of the cancelled order does not exist", order.ticket.id));
        return Ok(());
    };
    match ticket.release(&order.id) {
        Transition::Unchanged | Transition::Blocked => Ok(()),
        Transition::To(ticket) => update_holder(tx, ticket),
    }
}

fn update_holder(tx: &Tx<'_>, ticket: Ticket) -> Handled {
    store::update_holder(tx, &ticket)?;
    tx.publish(&TicketUpdated(ticket.into()))?;
    Ok(())
}

impl From<Ticket> for TicketState {
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
