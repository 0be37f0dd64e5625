//! The events of the marketplace's components, and money.
//!
//! A new version of an event may add fields, and never removes one. A reader
//! ignores unknown fields. So old and new revisions of the components work
//! together.

mod money;
mod price_text;
mod ticket;

use serde::{Deserialize, Serialize};
use ticketing_sdk::Timestamp;
use ticketing_sdk::messaging::Payload;

pub use money::{Money, Price};
pub use ticket::{
    TicketCopied, TicketCreated, TicketHeld, TicketState, TicketStatus, TicketUpdated, TicketWithdrawing,
    TicketWithdrawn, WithdrawalDecided,
};

macro_rules! subjects {
    ($($subject:literal: $payload:ty),* $(,)?) => {
        $(impl Payload for $payload { const SUBJECT: &'static str = $subject; })*
    };
}

subjects! {
    "ticket.created": TicketCreated,
    "ticket.updated": TicketUpdated,
    "ticket.held": TicketHeld,
    "ticket.withdrawing": TicketWithdrawing,
    "ticket.withdrawn": TicketWithdrawn,
    "withdrawal.decided": WithdrawalDecided,
    "ticket.copied": TicketCopied,
    "order.created": OrderCreated,
    "order.cancelled": OrderCancelled,
    "order.completed": OrderCompleted,
    "expiration.complete": ExpirationComplete,
    "payment.pending": PaymentPending,
    "payment.declined": PaymentDeclined,
    "payment.created": PaymentCreated,
    "payment.voided": PaymentVoided,
    "payment.refunded": PaymentRefunded,
}

/// The status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderStatus {
    /// The ticket is reserved.
    #[serde(rename = "created")]
    Created,
    /// The provider is asked to authorize a charge.
    #[serde(rename = "awaiting:payment")]
    AwaitingPayment,
    /// The buyer has paid. This status is final.
    #[serde(rename = "complete")]
    Complete,
    /// The buyer has cancelled the order, or it has expired. This status is
    /// final.
    #[serde(rename = "cancelled")]
    Cancelled,
}

impl OrderStatus {
    /// The text in JSON and in the databases.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::AwaitingPayment => "awaiting:payment",
            Self::Complete => "complete",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status with this text. It reverses [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Created, Self::AwaitingPayment, Self::Complete, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
    }

    /// Whether the status can no longer change.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Cancelled)
    }
}

/// The ticket of a new order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedTicket {
    /// The id of the ticket.
    pub id: String,
    /// The price at the time of the reservation.
    #[serde(flatten)]
    pub price: Money,
}

/// A reference to a ticket by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketRef {
    /// The id of the ticket.
    pub id: String,
}

/// A buyer has reserved a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCreated {
    /// The id of the order.
    pub id: String,
    /// The version of the order: 0.
    pub version: i64,
    /// The status of the order: `created`.
    pub status: OrderStatus,
    /// The buyer.
    pub user_id: String,
    /// The buyer must pay before this time.
    pub expires_at: Timestamp,
    /// The reserved ticket.
    pub ticket: OrderedTicket,
}

/// The reason for the cancellation of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CancelReason {
    /// The buyer has cancelled it.
    User,
    /// The buyer has not paid in time.
    Expired,
}

/// A reservation has ended without a sale. The order no longer changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// The id of the order.
    pub id: String,
    /// The last version of the order.
    pub version: i64,
    /// The ticket of the order.
    pub ticket: TicketRef,
    /// The reason for the cancellation.
    pub reason: CancelReason,
}

/// A ticket was sold. The order no longer changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCompleted {
    /// The id of the order.
    pub id: String,
    /// The last version of the order.
    pub version: i64,
    /// The sold ticket.
    pub ticket: TicketRef,
}

/// The time to pay an order is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpirationComplete {
    /// The id of the order.
    pub order_id: String,
}

/// The provider is asked to authorize a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPending {
    /// The id of the payment.
    pub id: String,
    /// The id of its order.
    pub order_id: String,
    /// The number of the payment among the payments of its order, from 1.
    pub attempt: i64,
    /// The version of the payment.
    pub version: i64,
}

/// The provider has declined a charge. The buyer may try another card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentDeclined {
    /// The id of the payment.
    pub id: String,
    /// The id of its order.
    pub order_id: String,
    /// The number of the payment, as in [`PaymentPending`].
    pub attempt: i64,
    /// The provider's decline code, such as `card_declined`.
    pub code: String,
}

/// The provider has authorized a charge: the money is reserved. It is captured
/// when the order is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentCreated {
    /// The id of the payment.
    pub id: String,
    /// The id of its order.
    pub order_id: String,
    /// The provider's id of the authorization.
    pub provider_id: String,
    /// The authorized amount.
    #[serde(flatten)]
    pub amount: Money,
}

/// An authorization was voided: the money is no longer reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentVoided {
    /// The id of the payment.
    pub id: String,
    /// The id of its order.
    pub order_id: String,
    /// The reason.
    pub reason: String,
}

/// Captured money was refunded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRefunded {
    /// The id of the payment.
    pub id: String,
    /// The id of its order.
    pub order_id: String,
    /// The reason.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_flat_and_in_camel_case() {
        let event = OrderCreated {
            id: "o".to_owned(),
            version: 0,
            status: OrderStatus::Created,
            user_id: "u".to_owned(),
            expires_at: Timestamp(0),
            ticket: OrderedTicket { id: "t".to_owned(), price: Money::usd(1_999) },
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            json,
            r#"{"id":"o","version":0,"status":"created","userId":"u","expiresAt":"1970-01-01T00:00:00.000Z","ticket":{"id":"t","amount":1999,"currency":"usd"}}"#
        );
        assert_eq!(serde_json::from_str::<OrderCreated>(&json).unwrap(), event);
    }

    #[test]
    fn a_reader_ignores_unknown_fields() {
        let json = r#"{"id":"t","version":3,"title":"x","amount":1,"currency":"usd","userId":"u","seat":"4"}"#;
        let TicketUpdated(ticket) = serde_json::from_str(json).unwrap();
        assert_eq!(ticket.version, 3);
        assert_eq!(ticket.order_id, None);
    }

    #[test]
    fn a_status_has_the_same_text_in_json_and_in_the_database() {
        for text in ["created", "awaiting:payment", "complete", "cancelled"] {
            let status = OrderStatus::parse(text).unwrap();
            assert_eq!(status.as_str(), text);
            let json = serde_json::to_string(&status).unwrap();
            assert_eq!(json, format!("{text:?}"));
        }
        assert_eq!(OrderStatus::parse("paid"), None);
    }
}
