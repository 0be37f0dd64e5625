//! What the components of the marketplace tell each other, and money.
//!
//! Fields are only ever added, and a reader ignores those that it does not
//! know, so an old and a new revision of a component understand each other.

mod money;

use serde::{Deserialize, Serialize};
use ticketing_sdk::Timestamp;
use ticketing_sdk::messaging::Payload;

pub use money::{Money, Price};

macro_rules! subjects {
    ($($subject:literal: $payload:ty),* $(,)?) => {
        $(impl Payload for $payload { const SUBJECT: &'static str = $subject; })*
    };
}

subjects! {
    "ticket.created": TicketCreated,
    "ticket.updated": TicketUpdated,
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

/// A ticket's whole state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    /// The ticket.
    pub id: String,
    /// 0 when it is made, then one more with each change.
    pub version: i64,
    /// What is sold.
    pub title: String,
    /// For how much.
    #[serde(flatten)]
    pub price: Money,
    /// Who sells it.
    pub user_id: String,
    /// The order that holds it, while one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
}

/// A ticket is for sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketCreated(pub Ticket);

/// A ticket was edited, reserved or released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketUpdated(pub Ticket);

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderStatus {
    /// The ticket is reserved.
    #[serde(rename = "created")]
    Created,
    /// A charge is being authorized.
    #[serde(rename = "awaiting:payment")]
    AwaitingPayment,
    /// Bought. Final.
    #[serde(rename = "complete")]
    Complete,
    /// Given up or expired. Final.
    #[serde(rename = "cancelled")]
    Cancelled,
}

impl OrderStatus {
    /// As it is written in JSON and kept in databases.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::AwaitingPayment => "awaiting:payment",
            Self::Complete => "complete",
            Self::Cancelled => "cancelled",
        }
    }

    /// The reverse of [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Created, Self::AwaitingPayment, Self::Complete, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
    }

    /// Whether no event changes it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Cancelled)
    }
}

/// The ticket of a new order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedTicket {
    /// The ticket.
    pub id: String,
    /// What it cost when it was reserved.
    #[serde(flatten)]
    pub price: Money,
}

/// A ticket by its id alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketRef {
    /// The ticket.
    pub id: String,
}

/// A ticket was reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCreated {
    /// The order.
    pub id: String,
    /// 0.
    pub version: i64,
    /// `created`.
    pub status: OrderStatus,
    /// The buyer.
    pub user_id: String,
    /// Until when it must be paid.
    pub expires_at: Timestamp,
    /// What was reserved.
    pub ticket: OrderedTicket,
}

/// Why an order was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CancelReason {
    /// The buyer gave it up.
    User,
    /// It was not paid in time.
    Expired,
}

/// A reservation is over without a sale. Final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// The order.
    pub id: String,
    /// Its last version.
    pub version: i64,
    /// What it held.
    pub ticket: TicketRef,
    /// Why.
    pub reason: CancelReason,
}

/// A ticket was sold. Final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCompleted {
    /// The order.
    pub id: String,
    /// Its last version.
    pub version: i64,
    /// What was sold.
    pub ticket: TicketRef,
}

/// The time to pay an order is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpirationComplete {
    /// The order.
    pub order_id: String,
}

/// A charge is being authorized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPending {
    /// The payment.
    pub id: String,
    /// The order that it pays.
    pub order_id: String,
    /// 1 for the order's first payment, then one more with each.
    pub attempt: i64,
    /// The payment's version.
    pub version: i64,
}

/// A charge was refused; another may be attempted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentDeclined {
    /// The payment.
    pub id: String,
    /// The order that it was to pay.
    pub order_id: String,
    /// As in [`PaymentPending`].
    pub attempt: i64,
    /// The provider's code, such as `card_declined`.
    pub code: String,
}

/// A charge was authorized: the money is reserved, and taken when the order
/// completes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentCreated {
    /// The payment.
    pub id: String,
    /// The order that it pays.
    pub order_id: String,
    /// The provider's id of the authorization.
    pub provider_id: String,
    /// How much.
    #[serde(flatten)]
    pub amount: Money,
}

/// A reservation of money was let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentVoided {
    /// The payment.
    pub id: String,
    /// The order that it was to pay.
    pub order_id: String,
    /// Why.
    pub reason: String,
}

/// Money that was taken was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRefunded {
    /// The payment.
    pub id: String,
    /// The order that it was to pay.
    pub order_id: String,
    /// Why.
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
    fn a_reader_ignores_what_it_does_not_know() {
        let json = r#"{"id":"t","version":3,"title":"x","amount":1,"currency":"usd","userId":"u","seat":"4"}"#;
        let TicketUpdated(ticket) = serde_json::from_str(json).unwrap();
        assert_eq!(ticket.version, 3);
        assert_eq!(ticket.order_id, None);
    }

    #[test]
    fn statuses_are_spelled_the_same_everywhere() {
        for text in ["created", "awaiting:payment", "complete", "cancelled"] {
            let status = OrderStatus::parse(text).unwrap();
            assert_eq!(status.as_str(), text);
            let json = serde_json::to_string(&status).unwrap();
            assert_eq!(json, format!("{text:?}"));
        }
        assert_eq!(OrderStatus::parse("paid"), None);
    }
}
