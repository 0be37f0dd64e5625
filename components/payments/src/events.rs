//! What payments does about orders. The provider is asked later, by a timer
//! that is due at once.

use ::events::{OrderCancelled, OrderCompleted, OrderCreated, OrderStatus};
use ticketing_sdk::messaging::{Delivery, Dispatch, Event, Handled};
use ticketing_sdk::store::Tx;
use ticketing_sdk::{Result, log};

use crate::domain::Next;
use crate::settle;
use crate::store::{self, Charge};

/// Applies an event of an order.
pub(crate) fn handle(event: Event, tx: &Tx<'_>) -> Handled {
    Dispatch::of(event, tx).to(order_created).to(order_cancelled).to(order_completed).finish()
}

fn order_created(order: &Delivery<OrderCreated>, tx: &Tx<'_>) -> Handled {
    Ok(store::insert_order(tx, order)?)
}

fn order_cancelled(order: &Delivery<OrderCancelled>, tx: &Tx<'_>) -> Handled {
    Ok(end(tx, &order.id, order.version, OrderStatus::Cancelled)?)
}

fn order_completed(order: &Delivery<OrderCompleted>, tx: &Tx<'_>) -> Handled {
    Ok(end(tx, &order.id, order.version, OrderStatus::Complete)?)
}

/// An end is final, so it applies whatever came before it or is still missing.
fn end(tx: &Tx<'_>, order_id: &str, version: i64, status: OrderStatus) -> Result<()> {
    let charge = store::last_charge(tx, order_id)?;
    let ends = store::end_order(tx, order_id, version, status)?;
    let Some(Charge { attempt, order }) = charge else {
        return Ok(());
    };
    let order = if ends { status } else { order.unwrap_or(OrderStatus::Created) };
    match attempt.next(order) {
        Next::Rest => Ok(()),
        // Whoever is asking the provider sees to it, and its timer otherwise.
        Next::Authorize => {
            log::info("payment", &format!("order {order_id} ended while {} was open", attempt.id));
            Ok(())
        }
        Next::Capture | Next::Void | Next::Refund => settle::now(tx, &attempt),
    }
}
