//! Publishes an event when the time to pay an order is over. It stores only
//! timers, one for each open order. The key of a timer is the order's id.

use events::{ExpirationComplete, OrderCancelled, OrderCompleted, OrderCreated};
use ticketing_sdk::messaging::{self, Delivery, Handled};
use ticketing_sdk::store::{Timer, Tx};

ticketing_sdk::component! { events: [order_created, order_cancelled, order_completed], timers: on_timer }

fn on_timer(timer: Timer, _attempt: u32, tx: &Tx<'_>) -> Handled {
    let expired: ExpirationComplete = messaging::read(&timer.payload)?;
    Ok(tx.publish(&expired)?)
}

fn order_created(order: &Delivery<OrderCreated>, tx: &Tx<'_>) -> Handled {
    let expired = ExpirationComplete { order_id: order.id.clone() };
    Ok(tx.schedule(&order.id, order.expires_at.unix_ms(), &expired)?)
}

/// If this event arrives before the order's creation, it finds no timer to
/// cancel. The timer then fires for an order that has ended, and `orders` ignores
/// it.
fn order_cancelled(order: &Delivery<OrderCancelled>, tx: &Tx<'_>) -> Handled {
    Ok(tx.cancel_timer(&order.id)?)
}

fn order_completed(order: &Delivery<OrderCompleted>, tx: &Tx<'_>) -> Handled {
    Ok(tx.cancel_timer(&order.id)?)
}
