//! The parameters of the requests to Stripe.

use super::Card;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Metadata<'a> {
    pub(super) ticketing_key: &'a str,
}

#[derive(Serialize)]
pub(super) struct Create<'a> {
    pub(super) amount: u64,
    pub(super) currency: &'a str,
    pub(super) capture_method: &'a str,
    pub(super) payment_method_types: [&'a str; 1],
    pub(super) metadata: Metadata<'a>,
}

#[derive(Serialize)]
pub(super) struct Confirm<'a> {
    error_on_requires_action: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method_data: Option<CardData<'a>>,
}

impl<'a> Confirm<'a> {
    /// Stripe declines a card whose bank requires an authentication of the payer. This
    /// host has no page to which it could send the payer for it.
    pub(super) fn new(card: Card<'a>) -> Self {
        let (payment_method, payment_method_data) = match card {
            Card::PaymentMethod(method) => (Some(method), None),
            Card::Token(token) => (None, Some(CardData { r#type: "card", card: CardToken { token } })),
        };
        Self { error_on_requires_action: true, payment_method, payment_method_data }
    }
}

#[derive(Serialize)]
struct CardData<'a> {
    r#type: &'a str,
    card: CardToken<'a>,
}

#[derive(Serialize)]
struct CardToken<'a> {
    token: &'a str,
}

#[derive(Serialize)]
pub(super) struct Capture<'a> {
    pub(super) metadata: CaptureMetadata<'a>,
}

#[derive(Serialize)]
pub(super) struct CaptureMetadata<'a> {
    pub(super) ticketing_capture_key: &'a str,
}

#[derive(Serialize)]
pub(super) struct Cancel<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cancellation_reason: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct CreateRefund<'a> {
    pub(super) payment_intent: &'a str,
    pub(super) metadata: Metadata<'a>,
}

#[derive(Serialize)]
pub(super) struct ListRefunds<'a> {
    pub(super) payment_intent: &'a str,
    pub(super) limit: u32,
}
