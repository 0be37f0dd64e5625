//! The states of an order:
//!
//! ```text
//! created <-> awaiting:payment
//!    |  \       /  |
//!    |   \     /   |
//!    v    v   v    v
//! complete   cancelled
//! ```
//!
//! Each change adds 1 to the version. The last two states are final. A function
//! returns the changed order, or `None` if the event comes too late and changes
//! nothing.

use ::events::{
    CancelReason, Money, OrderCancelled, OrderCompleted, OrderCreated, OrderStatus, OrderedTicket, Parties, TicketRef,
};
use ticketing_sdk::Timestamp;

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The id. Ids sort by the time of creation.
    pub id: String,
    /// 0 for a new order. Each change adds 1.
    pub version: i64,
    /// The buyer.
    pub user_id: String,
    /// The seller. `None` if there is no copy of the ticket any more, which an order
    /// that has not ended never meets.
    pub seller_id: Option<String>,
    /// The status.
    pub status: OrderStatus,
    /// The buyer must pay before this time.
    pub expires_at: Timestamp,
    /// The number of the last payment that the provider was asked to authorize;
    /// 0 if there is none.
    pub pending_attempt: i64,
    /// The number of the last declined payment; 0 if there is none.
    pub settled_attempt: i64,
    /// The ticket as it was at the time of the reservation.
    pub ticket: Ticket,
}

/// A ticket at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The id.
    pub id: String,
    /// The version.
    pub version: i64,
    /// The title.
    pub title: String,
    /// The price.
    pub price: Money,
}

/// The error of a cancellation: the order is already complete.
#[derive(Debug, PartialEq, Eq)]
pub struct AlreadyComplete;

/// The error of a payment: its amount is not the price of the order.
#[derive(Debug, PartialEq, Eq)]
pub struct WrongAmount;

impl Order {
    /// Makes a new order.
    pub fn new(id: String, user_id: String, seller_id: String, ticket: Ticket, expires_at: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            user_id,
            seller_id: Some(seller_id),
            status: OrderStatus::Created,
            expires_at,
            pending_attempt: 0,
            settled_attempt: 0,
            ticket,
        }
    }

    /// The buyer cancels the order. A cancelled order does not change.
    pub fn cancel(&self) -> Result<Option<Self>, AlreadyComplete> {
        match self.status {
            OrderStatus::Complete => Err(AlreadyComplete),
            OrderStatus::Cancelled => Ok(None),
            OrderStatus::Created | OrderStatus::AwaitingPayment => Ok(Some(self.with_status(OrderStatus::Cancelled))),
        }
    }

    /// The time to pay is over.
    pub fn expire(&self) -> Option<Self> {
        (!self.status.is_final()).then(|| self.with_status(OrderStatus::Cancelled))
    }

    /// The provider is asked to authorize a payment. An event about a payment
    /// that was declined, or about one before it, changes nothing.
    pub fn payment_pending(&self, attempt: i64) -> Option<Self> {
        if self.status.is_final() || attempt <= self.pending_attempt || attempt <= self.settled_attempt {
            return None;
        }
        Some(Self { pending_attempt: attempt, ..self.with_status(OrderStatus::AwaitingPayment) })
    }

    /// The provider has declined a payment. A later payment may be under way.
    pub fn payment_declined(&self, attempt: i64) -> Option<Self> {
        if self.status.is_final() || attempt <= self.settled_attempt {
            return None;
        }
        let status = if self.pending_attempt <= attempt { OrderStatus::Created } else { self.status };
        Some(Self { settled_attempt: attempt, ..self.with_status(status) })
    }

    /// The provider has authorized a payment. It completes the order even if
    /// the time to pay has just ended, because the payment started before.
    pub fn pay(&self, amount: &Money) -> Result<Option<Self>, WrongAmount> {
        if self.status.is_final() {
            Ok(None)
        } else if *amount == self.ticket.price {
            Ok(Some(self.with_status(OrderStatus::Complete)))
        } else {
            Err(WrongAmount)
        }
    }

    /// The event about the new order.
    pub fn created_event(&self) -> OrderCreated {
        OrderCreated {
            id: self.id.clone(),
            version: self.version,
            status: self.status,
            user_id: self.user_id.clone(),
            seller_id: self.seller_id.clone(),
            expires_at: self.expires_at,
            ticket: OrderedTicket { id: self.ticket.id.clone(), price: self.ticket.price.clone() },
        }
    }

    /// The event about the cancelled order.
    pub fn cancelled_event(&self, reason: CancelReason) -> OrderCancelled {
        let (id, version) = (self.id.clone(), self.version);
        OrderCancelled { id, version, ticket: self.ticket_ref(), reason, parties: self.parties() }
    }

    /// The event about the completed order.
    pub fn completed_event(&self) -> OrderCompleted {
        let (id, version) = (self.id.clone(), self.version);
        OrderCompleted { id, version, ticket: self.ticket_ref(), parties: self.parties() }
    }

    fn ticket_ref(&self) -> TicketRef {
        TicketRef { id: self.ticket.id.clone(), price: Some(self.ticket.price.clone()) }
    }

    fn parties(&self) -> Parties {
        Parties { user_id: Some(self.user_id.clone()), seller_id: self.seller_id.clone() }
    }

    fn with_status(&self, status: OrderStatus) -> Self {
        Self { version: self.version + 1, status, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        let ticket = Ticket { id: "t".to_owned(), version: 2, title: "Concert".to_owned(), price: Money::usd(1_999) };
        Order::new("o".to_owned(), "u".to_owned(), "s".to_owned(), ticket, Timestamp(60_000))
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
    fn the_event_about_the_end_names_the_parties_and_the_price() {
        let completed = order().pay(&Money::usd(1_999)).unwrap().unwrap().completed_event();
        let expected = Parties { user_id: Some("u".to_owned()), seller_id: Some("s".to_owned()) };
        assert_eq!((completed.parties, completed.ticket.price), (expected.clone(), Some(Money::usd(1_999))));
        let cancelled = order().cancel().unwrap().unwrap().cancelled_event(CancelReason::User);
        assert_eq!((cancelled.parties, cancelled.ticket.price), (expected, Some(Money::usd(1_999))));
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
    fn a_payment_of_another_amount_is_refused() {
        assert_eq!(order().pay(&Money::usd(1_998)), Err(WrongAmount));
        let euros = Money { amount: 1_999, currency: "eur".to_owned() };
        assert_eq!(order().pay(&euros), Err(WrongAmount));
    }

    #[test]
    fn a_declined_payment_allows_another_one() {
        let first = order().payment_pending(1).unwrap();
        assert_eq!(first.status, OrderStatus::AwaitingPayment);
        let declined = first.payment_declined(1).unwrap();
        assert_eq!((declined.status, declined.version), (OrderStatus::Created, 2));
        assert_eq!(declined.payment_declined(1), None);
        let second = declined.payment_pending(2).unwrap();
        assert_eq!(second.status, OrderStatus::AwaitingPayment);
    }

    #[test]
    fn an_early_or_late_decline_changes_nothing_else() {
        let declined = order().payment_declined(1).unwrap();
        assert_eq!(declined.status, OrderStatus::Created);
        assert_eq!(declined.payment_pending(1), None);

        let second = order().payment_pending(1).unwrap().payment_pending(2).unwrap();
        let late = second.payment_declined(1).unwrap();
        assert_eq!(late.status, OrderStatus::AwaitingPayment);
    }
}
