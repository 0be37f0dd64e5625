//! The events of the marketplace's components, and money.
//!
//! A new version of an event may add fields, and never removes one. A reader
//! ignores unknown fields. So old and new revisions of the components work
//! together.

mod money;
mod payment;
mod price_text;
mod ticket;

use serde::{Deserialize, Serialize};
use ticketing_sdk::{Timestamp, subjects};

pub use money::{Money, Price};
pub use payment::{PaymentCreated, PaymentDeclined, PaymentPending, PaymentRefunded, PaymentVoided};
pub use ticket::{
    TicketCopied, TicketCreated, TicketHeld, TicketState, TicketStatus, TicketUpdated, TicketWithdrawing,
    TicketWithdrawn, WithdrawalDecided,
};

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

/// The buyer and the seller of an order. Events of older revisions do not have them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parties {
    /// The buyer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The seller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller_id: Option<String>,
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

/// The ticket of an order that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketRef {
    /// The id of the ticket.
    pub id: String,
    /// The price at the time of the reservation. Events of older revisions do not have it.
    #[serde(flatten)]
    pub price: Option<Money>,
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
    /// The seller. Events of older revisions do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller_id: Option<String>,
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
    /// The buyer and the seller.
    #[serde(flatten)]
    pub parties: Parties,
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
    /// The buyer and the seller.
    #[serde(flatten)]
    pub parties: Parties,
}

/// The time to pay an order is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpirationComplete {
    /// The id of the order.
    pub order_id: String,
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
            seller_id: Some("s".to_owned()),
            expires_at: Timestamp(0),
            ticket: OrderedTicket { id: "t".to_owned(), price: Money::usd(1_999) },
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            json,
            r#"{"id":"o","version":0,"status":"created","userId":"u","sellerId":"s","expiresAt":"1970-01-01T00:00:00.000Z","ticket":{"id":"t","amount":1999,"currency":"usd"}}"#
        );
        assert_eq!(serde_json::from_str::<OrderCreated>(&json).unwrap(), event);
    }

    #[test]
    fn the_end_of_an_order_names_its_parties_and_the_price() {
        let ticket = TicketRef { id: "t".to_owned(), price: Some(Money::usd(1_999)) };
        let parties = Parties { user_id: Some("u".to_owned()), seller_id: Some("s".to_owned()) };
        let event = OrderCompleted { id: "o".to_owned(), version: 2, ticket, parties };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            json,
            r#"{"id":"o","version":2,"ticket":{"id":"t","amount":1999,"currency":"usd"},"userId":"u","sellerId":"s"}"#
        );
        assert_eq!(serde_json::from_str::<OrderCompleted>(&json).unwrap(), event);
    }

    #[test]
    fn events_of_older_revisions_lack_fields_and_are_read() {
        let old = r#"{"id":"o","version":2,"ticket":{"id":"t"}}"#;
        let completed: OrderCompleted = serde_json::from_str(old).unwrap();
        assert_eq!((completed.ticket.price.clone(), completed.parties.clone()), (None, Parties::default()));
        assert_eq!(serde_json::to_string(&completed).unwrap(), old);
        let old = r#"{"id":"o","version":1,"ticket":{"id":"t"},"reason":"user"}"#;
        assert_eq!(serde_json::from_str::<OrderCancelled>(old).unwrap().parties, Parties::default());
        let old = r#"{"id":"p","orderId":"o","reason":"order cancelled"}"#;
        assert_eq!(serde_json::from_str::<PaymentVoided>(old).unwrap().amount, None);
        let old = r#"{"id":"p","orderId":"o","attempt":1,"version":0}"#;
        assert_eq!(serde_json::from_str::<PaymentPending>(old).unwrap().attempt, 1);
        let old = r#"{"id":"t","version":4}"#;
        assert_eq!(serde_json::from_str::<TicketWithdrawn>(old).unwrap().price, None);
        let old = r#"{"id":"o","version":0,"status":"created","userId":"u","expiresAt":"1970-01-01T00:00:00.000Z","ticket":{"id":"t","amount":1,"currency":"usd"}}"#;
        assert_eq!(serde_json::from_str::<OrderCreated>(old).unwrap().seller_id, None);
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
