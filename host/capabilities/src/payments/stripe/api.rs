//! The requests to Stripe.
//!
//! The client, its idempotency keys and the types of the responses come from
//! async-stripe. This host uses a release candidate of its version 1.0, because the
//! stable version needs hyper 0.14, which no other crate here needs. The client sends
//! each request once, with a time limit. The forms are defined here, because those of
//! the library have no field for the token of a card.

mod error;
mod forms;

pub(super) use error::{ApiError, UnknownOutcome, decline};

use forms::{Cancel, Capture, CaptureMetadata, Confirm, Create, CreateRefund, ListRefunds, Metadata};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::time::Duration;
use stripe::{Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError};
use stripe_client_core::{CustomizableStripeRequest, RequestBuilder, StripeMethod};
use stripe_shared::{PaymentIntent, Refund};
use stripe_types::List;

/// The time limit of one request. A component does not wait this long. The host
/// records the response, so that a repeated call finds it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

/// How many refunds of one payment the host reads.
const MAX_REFUNDS: u32 = 100;

/// The metadata of payments and refunds that contains the key of the call that created
/// them.
pub(super) const KEY: &str = "ticketing_key";

/// The metadata of a payment that contains the key of the call that captured it.
pub(super) const CAPTURE_KEY: &str = "ticketing_capture_key";

/// A card, as a token or as a payment method.
#[derive(Debug, Clone, Copy)]
pub(super) enum Card<'a> {
    Token(&'a str),
    PaymentMethod(&'a str),
}

impl<'a> Card<'a> {
    /// `None` if the name is neither a token nor a payment method.
    pub(super) fn from_name(name: &'a str) -> Option<Self> {
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        if name.starts_with("tok_") {
            return Some(Self::Token(name));
        }
        name.starts_with("pm_").then_some(Self::PaymentMethod(name))
    }
}

/// One attempt of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallAttempt<'a> {
    /// The key of the call, with the name of the component.
    pub(super) key: &'a str,
    /// How many earlier attempts Stripe answered with an error that it repeats.
    pub(super) number: i64,
}

impl CallAttempt<'_> {
    /// The idempotency key of one step of the call. It contains the key of the call if
    /// Stripe accepts the result.
    fn idempotency_key(self, step: &str) -> String {
        let number = self.number;
        let plain = format!("{step}:{number}:{}", self.key);
        if plain.len() <= MAX_IDEMPOTENCY_KEY_BYTES && plain.bytes().all(|byte| byte.is_ascii_graphic()) {
            return plain;
        }
        // The key of a call contains a slash and this text does not, so they differ.
        format!("{step}:{number}:sha256-{}", hex::encode(Sha256::digest(self.key)))
    }
}

/// The client of Stripe. It lives as long as the host.
#[derive(Debug, Clone)]
pub(super) struct Api {
    client: Client,
}

impl Api {
    pub(super) fn new(config: &host_config::payments::StripeConfig) -> Result<Self, StripeError> {
        let client = ClientBuilder::new(config.key.expose())
            .url(config.api_url.as_str())
            .request_strategy(RequestStrategy::Once)
            .timeout(REQUEST_TIMEOUT)
            .app_info("ticketing", Some(env!("CARGO_PKG_VERSION").to_owned()), None)
            .build()?;
        Ok(Self { client })
    }

    /// Returns the current state of a payment.
    pub(super) async fn intent(&self, id: &str) -> Result<PaymentIntent, ApiError> {
        let request = RequestBuilder::new(StripeMethod::Get, format!("/payment_intents/{id}"));
        self.send(request.customize()).await
    }

    /// Returns the refunds of a payment, the newest first.
    pub(super) async fn refunds(&self, id: &str) -> Result<Vec<Refund>, ApiError> {
        let request = RequestBuilder::new(StripeMethod::Get, "/refunds")
            .query(&ListRefunds { payment_intent: id, limit: MAX_REFUNDS });
        self.send::<List<Refund>>(request.customize()).await.map(|list| list.data)
    }

    /// Creates a payment that reserves no money yet.
    pub(super) async fn create(
        &self,
        attempt: CallAttempt<'_>,
        amount: u64,
        currency: &str,
    ) -> Result<PaymentIntent, ApiError> {
        let form = Create {
            amount,
            currency,
            capture_method: "manual",
            payment_method_types: ["card"],
            metadata: Metadata { ticketing_key: attempt.key },
        };
        self.post("/payment_intents".to_owned(), &form, attempt, "create").await
    }

    /// Reserves the money.
    pub(super) async fn confirm(
        &self,
        attempt: CallAttempt<'_>,
        id: &str,
        card: Card<'_>,
    ) -> Result<PaymentIntent, ApiError> {
        self.post(format!("/payment_intents/{id}/confirm"), &Confirm::new(card), attempt, "confirm").await
    }

    /// Captures the whole reserved amount.
    pub(super) async fn capture(&self, attempt: CallAttempt<'_>, id: &str) -> Result<PaymentIntent, ApiError> {
        let form = Capture { metadata: CaptureMetadata { ticketing_capture_key: attempt.key } };
        self.post(format!("/payment_intents/{id}/capture"), &form, attempt, "capture").await
    }

    /// Cancels a payment and releases its money, if any is reserved.
    pub(super) async fn cancel(
        &self,
        attempt: CallAttempt<'_>,
        id: &str,
        cancellation_reason: Option<&str>,
    ) -> Result<PaymentIntent, ApiError> {
        self.post(format!("/payment_intents/{id}/cancel"), &Cancel { cancellation_reason }, attempt, "cancel").await
    }

    /// Refunds the captured amount that is not refunded yet.
    pub(super) async fn refund(&self, attempt: CallAttempt<'_>, id: &str) -> Result<Refund, ApiError> {
        let form = CreateRefund { payment_intent: id, metadata: Metadata { ticketing_key: attempt.key } };
        self.post("/refunds".to_owned(), &form, attempt, "refund").await
    }

    async fn post<T: miniserde::Deserialize>(
        &self,
        path: String,
        form: &impl Serialize,
        attempt: CallAttempt<'_>,
        step: &str,
    ) -> Result<T, ApiError> {
        let key = IdempotencyKey::new(attempt.idempotency_key(step))
            .map_err(|error| ApiError::Unknown(UnknownOutcome::new(error.to_string())))?;
        let request = RequestBuilder::new(StripeMethod::Post, path).form(form);
        self.send(request.customize().request_strategy(RequestStrategy::Idempotent(key))).await
    }

    async fn send<T: miniserde::Deserialize>(&self, request: CustomizableStripeRequest<T>) -> Result<T, ApiError> {
        request.send(&self.client).await.map_err(ApiError::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idempotency_keys_belong_to_one_step_and_fit_for_every_key_of_a_component() {
        let key = |key: &str, step: &str, number: i64| CallAttempt { key, number }.idempotency_key(step);
        assert_eq!(key("cards/a:1", "confirm", 0), "confirm:0:cards/a:1");
        let long = format!("{}/{}", "c".repeat(64), "k".repeat(200));
        let keys = [
            key("cards/a:1", "confirm", 0),
            key("cards/a:1", "create", 0),
            key("cards/a:1", "confirm", 1),
            key(&long, "confirm", 0),
            key(&format!("{long}x"), "confirm", 0),
            key("cards/ä", "confirm", 0),
            key("cards/a\nb", "confirm", 0),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(key.len() <= 255 && key.bytes().all(|byte| byte.is_ascii_graphic()), "{key}");
            assert!(!keys[at + 1..].contains(key), "{key}");
        }
    }

    #[test]
    fn only_tokens_and_payment_methods_are_cards() {
        assert!(matches!(Card::from_name("tok_visa"), Some(Card::Token("tok_visa"))));
        assert!(matches!(Card::from_name("pm_card_visa"), Some(Card::PaymentMethod("pm_card_visa"))));
        for name in ["", "visa", "4242424242424242", "src_1", "tok_a/b", "pm_ä", "tok_a b"] {
            assert!(Card::from_name(name).is_none(), "{name}");
        }
    }
}
