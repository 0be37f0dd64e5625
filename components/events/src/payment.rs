//! The events about payments.

use serde::{Deserialize, Serialize};

use crate::{Money, Parties};

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
    /// The price of the order. Events of older revisions do not have it.
    #[serde(flatten)]
    pub amount: Option<Money>,
    /// The buyer and the seller.
    #[serde(flatten)]
    pub parties: Parties,
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
    /// The price of the order. Events of older revisions do not have it.
    #[serde(flatten)]
    pub amount: Option<Money>,
    /// The buyer and the seller.
    #[serde(flatten)]
    pub parties: Parties,
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
    /// The buyer and the seller.
    #[serde(flatten)]
    pub parties: Parties,
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
    /// The authorized amount. Events of older revisions do not have it.
    #[serde(flatten)]
    pub amount: Option<Money>,
    /// The buyer and the seller.
    #[serde(flatten)]
    pub parties: Parties,
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
    /// The refunded amount. Events of older revisions do not have it.
    #[serde(flatten)]
    pub amount: Option<Money>,
    /// The buyer and the seller.
    #[serde(flatten)]
    pub parties: Parties,
}
