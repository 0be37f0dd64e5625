//! The state of a payment, as clients see it.

use ::events::OrderStatus;
use serde::Serialize;

use crate::domain::{Attempt, AttemptState};

/// The state of a payment, as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PaymentStatus {
    /// The provider has not answered, or the order has not ended.
    Pending,
    /// The order is complete.
    Complete,
    /// The order was cancelled or has expired. The buyer is not charged.
    Cancelled,
    /// The provider has declined the card.
    Declined,
}

impl PaymentStatus {
    /// Derives the status from the attempt and from the status of its order.
    pub(crate) fn of(attempt: &Attempt, order_status: OrderStatus) -> Self {
        match (attempt.state, order_status) {
            (AttemptState::Declined, _) => Self::Declined,
            (_, OrderStatus::Cancelled) => Self::Cancelled,
            (AttemptState::Authorizing, _) => Self::Pending,
            (_, OrderStatus::Complete) => Self::Complete,
            (AttemptState::Failed, _) => Self::Declined,
            _ => Self::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::events::Money;

    #[test]
    fn a_payment_is_complete_only_when_its_order_is() {
        let open = Attempt {
            id: "p".to_owned(),
            version: 0,
            order_id: "o".to_owned(),
            number: 1,
            state: AttemptState::Authorizing,
            token: None,
            provider_id: None,
            price: Money::usd(1_999),
        };
        let (created, complete, cancelled) = (OrderStatus::Created, OrderStatus::Complete, OrderStatus::Cancelled);
        for (state, order_status, status) in [
            (AttemptState::Authorizing, created, PaymentStatus::Pending),
            (AttemptState::Authorizing, cancelled, PaymentStatus::Cancelled),
            (AttemptState::Authorized, created, PaymentStatus::Pending),
            (AttemptState::Authorized, complete, PaymentStatus::Complete),
            (AttemptState::Authorized, cancelled, PaymentStatus::Cancelled),
            (AttemptState::Captured, complete, PaymentStatus::Complete),
            (AttemptState::Voided, cancelled, PaymentStatus::Cancelled),
            (AttemptState::Failed, created, PaymentStatus::Declined),
            (AttemptState::Declined, created, PaymentStatus::Declined),
        ] {
            assert_eq!(PaymentStatus::of(&open.with_state(state), order_status), status, "{state:?}, {order_status:?}");
        }
    }
}
