//! The life of an order:
//!
//! ```text
//! created <-> awaiting:payment
//!    |  \       /  |
//!    |   \     /   |
//!    v    v   v    v
//! complete   cancelled
//! ```
//!
//! Every change makes the version one higher; the last two are final.
//! Functions return the order as it is to be, or nothing when the event comes
//! too late to matter.

use ::events::{Money, OrderStatus};
use ticketing_sdk::Timestamp;

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Sorts by age.
    pub id: String,
    /// 0 when it is made, then one more with each change.
    pub version: i64,
    /// The buyer.
    pub user_id: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// Until when it must be paid.
    pub expires_at: Timestamp,
    /// The payment that is being authorized; 0 when none ever was.
    pub pending_attempt: i64,
    /// The last payment that was refused; 0 when none was.
    pub settled_attempt: i64,
    /// What is bought, as it was when it was reserved.
    pub ticket: Ticket,
}

/// A ticket at one of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The ticket.
    pub id: String,
    /// Its version.
    pub version: i64,
    /// What is sold.
    pub title: String,
    /// For how much.
    pub price: Money,
}

/// A completed order cannot be cancelled.
#[derive(Debug, PartialEq, Eq)]
pub struct AlreadyComplete;

/// A payment of another amount than the order's.
#[derive(Debug, PartialEq, Eq)]
pub struct WrongAmount;

impl Order {
    /// A new reservation.
    pub fn new(id: String, user_id: String, ticket: Ticket, expires_at: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            user_id,
            status: OrderStatus::Created,
            expires_at,
            pending_attempt: 0,
            settled_attempt: 0,
            ticket,
        }
    }

    /// The buyer gives it up. Nothing happens when it is cancelled already.
    pub fn cancel(&self) -> Result<Option<Self>, AlreadyComplete> {
        match self.status {
            OrderStatus::Complete => Err(AlreadyComplete),
            OrderStatus::Cancelled => Ok(None),
            OrderStatus::Created | OrderStatus::AwaitingPayment => Ok(Some(self.at(OrderStatus::Cancelled))),
        }
    }

    /// The time to pay is over.
    pub fn expire(&self) -> Option<Self> {
        (!self.status.is_final()).then(|| self.at(OrderStatus::Cancelled))
    }

    /// A payment is being authorized. One that was refused already, or one
    /// before it, says nothing new.
    pub fn payment_pending(&self, attempt: i64) -> Option<Self> {
        if self.status.is_final() || attempt <= self.pending_attempt || attempt <= self.settled_attempt {
            return None;
        }
        Some(Self { pending_attempt: attempt, ..self.at(OrderStatus::AwaitingPayment) })
    }

    /// A payment was refused. A later one may be under way.
    pub fn payment_declined(&self, attempt: i64) -> Option<Self> {
        if self.status.is_final() || attempt <= self.settled_attempt {
            return None;
        }
        let status = if self.pending_attempt <= attempt { OrderStatus::Created } else { self.status };
        Some(Self { settled_attempt: attempt, ..self.at(status) })
    }

    /// The money is reserved. It completes the order even a moment after it
    /// expired, since the payment was begun before.
    pub fn pay(&self, amount: &Money) -> Result<Option<Self>, WrongAmount> {
        if self.status.is_final() {
            Ok(None)
        } else if *amount == self.ticket.price {
            Ok(Some(self.at(OrderStatus::Complete)))
        } else {
            Err(WrongAmount)
        }
    }

    fn at(&self, status: OrderStatus) -> Self {
        Self { version: self.version + 1, status, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        let ticket = Ticket { id: "t".to_owned(), version: 2, title: "Concert".to_owned(), price: Money::usd(1_999) };
        Order::new("o".to_owned(), "u".to_owned(), ticket, Timestamp(60_000))
    }

    #[test]
    fn a_completed_order_cannot_be_cancelled_and_does_not_expire() {
        let complete = order().pay(&Money::usd(1_999)).unwrap().unwrap();
        assert_eq!((complete.status, complete.version), (OrderStatus::Complete, 1));
        assert_eq!(complete.cancel(), Err(AlreadyComplete));
        assert_eq!(complete.expire(), None);
        assert_eq!(complete.payment_pending(1), None);
        assert_eq!(complete.payment_declined(1), None);
    }

    #[test]
    fn a_cancelled_order_stays_cancelled() {
        let cancelled = order().cancel().unwrap().unwrap();
        assert_eq!(cancelled.cancel(), Ok(None));
        assert_eq!(cancelled.expire(), None);
        assert_eq!(cancelled.pay(&Money::usd(1_999)), Ok(None));
        assert_eq!(cancelled.payment_pending(1), None);
    }

    #[test]
    fn another_amount_does_not_pay() {
        assert_eq!(order().pay(&Money::usd(1_998)), Err(WrongAmount));
        let euros = Money { amount: 1_999, currency: "eur".to_owned() };
        assert_eq!(order().pay(&euros), Err(WrongAmount));
    }

    #[test]
    fn a_declined_payment_makes_way_for_another() {
        let first = order().payment_pending(1).unwrap();
        assert_eq!(first.status, OrderStatus::AwaitingPayment);
        let declined = first.payment_declined(1).unwrap();
        assert_eq!((declined.status, declined.version), (OrderStatus::Created, 2));
        assert_eq!(declined.payment_declined(1), None);
        let second = declined.payment_pending(2).unwrap();
        assert_eq!(second.status, OrderStatus::AwaitingPayment);
    }

    #[test]
    fn a_decline_before_its_payment_and_one_after_the_next_change_nothing_else() {
        let declined = order().payment_declined(1).unwrap();
        assert_eq!(declined.status, OrderStatus::Created);
        assert_eq!(declined.payment_pending(1), None);

        let second = order().payment_pending(1).unwrap().payment_pending(2).unwrap();
        let late = second.payment_declined(1).unwrap();
        assert_eq!(late.status, OrderStatus::AwaitingPayment);
    }
}
