//! The events about tickets.

use serde::{Deserialize, Serialize};

use crate::Money;

/// Whether a ticket can be bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TicketStatus {
    /// Nobody holds the ticket.
    Available,
    /// An order holds the ticket, and its buyer has not paid yet.
    Reserved,
    /// A buyer has paid for the ticket. This status is final.
    Sold,
}

/// The full state of a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketState {
    /// The id of the ticket.
    pub id: String,
    /// 0 for a new ticket. Each change adds 1.
    pub version: i64,
    /// The title.
    pub title: String,
    /// The price.
    #[serde(flatten)]
    pub price: Money,
    /// The seller.
    pub user_id: String,
    /// The order that holds the ticket, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// The status. Events of older revisions do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TicketStatus>,
}

/// A seller has offered a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketCreated(pub TicketState);

/// A ticket was edited, reserved, released or sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketUpdated(pub TicketState);

/// Orders has applied a version of a ticket, or a later one. From now on it makes
/// no order at an older price or title.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketCopied {
    /// The id of the ticket.
    pub id: String,
    /// The version of the ticket.
    pub version: i64,
}

/// An order holds the ticket, and `tickets` does not know whether it has ended.
/// `orders` publishes `order.completed` again if the order is complete.
///
/// Tickets that were sold before tickets had a status need this event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketHeld {
    /// The id of the ticket.
    pub id: String,
    /// The order that holds the ticket.
    pub order_id: String,
}

/// The seller wants to withdraw a ticket. `orders` answers with
/// [`WithdrawalDecided`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketWithdrawing {
    /// The id of the ticket.
    pub id: String,
    /// The id of the withdrawal.
    pub withdrawal_id: String,
}

/// The decision about a withdrawal. After it is granted, nobody can order the
/// ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WithdrawalDecided {
    /// The id of the withdrawal.
    pub id: String,
    /// The id of the ticket.
    pub ticket_id: String,
    /// False if an order holds the ticket.
    pub is_granted: bool,
}

/// A seller has withdrawn a ticket. Nobody can order it any more. This is the
/// last event about the ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketWithdrawn {
    /// The id of the ticket.
    pub id: String,
    /// The last version of the ticket.
    pub version: i64,
    /// The seller. Events of older revisions do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The last price. Events of older revisions do not have it.
    #[serde(flatten)]
    pub price: Option<Money>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_in_lower_case_and_missing_in_old_events() {
        let old = r#"{"id":"t","version":3,"title":"x","amount":1,"currency":"usd","userId":"u","orderId":"o"}"#;
        let TicketUpdated(mut ticket) = serde_json::from_str(old).unwrap();
        assert_eq!((ticket.status, ticket.order_id.as_deref()), (None, Some("o")));
        ticket.status = Some(TicketStatus::Sold);
        let new = serde_json::to_string(&TicketUpdated(ticket)).unwrap();
        assert_eq!(new, old.replace('}', r#","status":"sold"}"#));
    }
}
