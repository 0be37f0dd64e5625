//! The handlers of order events. They make no call to the provider, but set a
//! timer that is due at once, and its handler makes the call.

use ::events::{OrderCancelled, OrderCompleted, OrderCreated, OrderStatus};
use ticketing_sdk::messaging::{Delivery, Dispatch, Event, Handled};
use ticketing_sdk::store::Tx;
use ticketing_sdk::{Result, log};

use crate::domain::Operation;
use crate::reconcile;
use crate::store::{self, AttemptWithOrder};

/// Handles an event of an order.
pub(crate) fn handle(event: Event, tx: &Tx<'_>) -> Handled {
    Dispatch::of(event, tx).to(order_created).to(order_cancelled).to(order_completed).finish()
}

fn order_created(order: &Delivery<OrderCreated>, tx: &Tx<'_>) -> Handled {
    Ok(store::insert_order(tx, order)?)
}

fn order_cancelled(order: &Delivery<OrderCancelled>, tx: &Tx<'_>) -> Handled {
    Ok(end_order(tx, &order.id, order.version, OrderStatus::Cancelled)?)
}

fn order_completed(order: &Delivery<OrderCompleted>, tx: &Tx<'_>) -> Handled {
    Ok(end_order(tx, &order.id, order.version, OrderStatus::Complete)?)
}

/// The topic that is notified when an order with a payment has ended.
pub(crate) fn order_end_topic(order_id: &str) -> String {
    format!("order:{order_id}")
}

/// The end of an order is final. So it is applied even if earlier events are
/// missing.
fn end_order(tx: &Tx<'_>, order_id: &str, version: i64, status: OrderStatus) -> Result<()> {
    let last = store::last_attempt_with_order(tx, order_id)?;
    let is_new = store::end_order(tx, order_id, version, status)?;
    let Some(AttemptWithOrder { attempt, order_status, .. }) = last else {
        return Ok(());
    };
    // A request to pay may wait for it.
    tx.notify(&order_end_topic(order_id))?;
    let status = if is_new { status } else { order_status.unwrap_or(OrderStatus::Created) };
    match attempt.next_operation(status) {
        None => Ok(()),
        // The request that asks the provider goes on, or the timer of the attempt does.
        Some(Operation::Authorize) => {
            log::info("payment", format_args!("order {order_id} ended while payment {} was open", attempt.id));
            Ok(())
        }
        Some(Operation::Capture | Operation::Void | Operation::Refund) => reconcile::schedule_now(tx, &attempt),
    }
}
