//! The requests, and what their answers mean.
//!
//! The client, its idempotency keys and the types of answers are
//! async-stripe's: 1.0 is a candidate still, but the stable line before it is
//! made for hyper 0.14, which nothing else here needs. It makes each request
//! once, with a limit on its time. The forms are written here, because its
//! own have no field for a card's token.

use super::super::Decline;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::time::Duration;
use stripe::{
    ApiErrors, ApiErrorsCode, ApiErrorsType, Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError,
};
use stripe_client_core::{CustomizableStripeRequest, RequestBuilder, StripeMethod};
use stripe_shared::{PaymentIntent, Refund};
use stripe_types::List;

/// Of one request. A component does not wait for so long: the answer is for
/// the record, and for whoever asks again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

const LONGEST_IDEMPOTENCY_KEY: usize = 255;

/// Refunds of one payment that are looked at.
const REFUNDS: u32 = 100;

/// Under it, payments and refunds bear the key of the call that made them.
pub(super) const KEY: &str = "ticketing_key";

/// Under it, a payment bears the key of the call that captured it.
pub(super) const CAPTURE_KEY: &str = "ticketing_capture_key";

/// In place of an answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The bank refuses the card.
    Declined(Decline),
    /// The state of the payment does not allow it.
    State(String),
    /// Stripe knows no such payment.
    Missing,
    /// The request cannot be made.
    Invalid(String),
    /// It may have been done or not.
    Unknown(Unanswered),
}

/// Why nothing is known.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) detail: String,
    /// Whether it is what Stripe answers to this idempotency key from now on.
    pub(super) is_kept: bool,
}

impl Unanswered {
    /// It may be different the next time.
    pub(super) fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), is_kept: false }
    }
}

/// A card, as its token or as a payment method.
#[derive(Debug, Clone, Copy)]
pub(super) enum Card<'a> {
    Token(&'a str),
    Method(&'a str),
}

impl<'a> Card<'a> {
    /// None if it can be neither.
    pub(super) fn named(name: &'a str) -> Option<Self> {
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        if name.starts_with("tok_") {
            return Some(Self::Token(name));
        }
        name.starts_with("pm_").then_some(Self::Method(name))
    }
}

/// One try of one step of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Try<'a> {
    /// The call's, behind the component's name.
    pub(super) key: &'a str,
    /// Tries before that Stripe has answered with a failure of its own.
    pub(super) number: i64,
}

impl Try<'_> {
    /// What Stripe knows it by: readable, where the key allows it.
    fn idempotency_key(self, step: &str) -> String {
        let number = self.number;
        let plain = format!("{step}:{number}:{}", self.key);
        if plain.len() <= LONGEST_IDEMPOTENCY_KEY && plain.bytes().all(|byte| byte.is_ascii_graphic()) {
            return plain;
        }
        // The key of a call has a slash in it, and this has none.
        format!("{step}:{number}:sha256-{}", hex::encode(Sha256::digest(self.key)))
    }
}

#[derive(Serialize)]
struct Metadata<'a> {
    ticketing_key: &'a str,
}

#[derive(Serialize)]
struct Create<'a> {
    amount: u64,
    currency: &'a str,
    capture_method: &'a str,
    payment_method_types: [&'a str; 1],
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Confirm<'a> {
    error_on_requires_action: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method_data: Option<CardData<'a>>,
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
struct Capture<'a> {
    metadata: CaptureMetadata<'a>,
}

#[derive(Serialize)]
struct CaptureMetadata<'a> {
    ticketing_capture_key: &'a str,
}

#[derive(Serialize)]
struct Cancel<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cancellation_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct MakeRefund<'a> {
    payment_intent: &'a str,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct ListRefunds<'a> {
    payment_intent: &'a str,
    limit: u32,
}

/// Asks Stripe. It lives as long as the host.
#[derive(Debug, Clone)]
pub(super) struct Api {
    client: Client,
}

impl Api {
    pub(super) fn new(settings: &host_config::payments::StripeConfig) -> Result<Self, StripeError> {
        let client = ClientBuilder::new(settings.key.expose())
            .url(settings.api_url.as_str())
            .request_strategy(RequestStrategy::Once)
            .timeout(REQUEST_TIMEOUT)
            .app_info("ticketing", Some(env!("CARGO_PKG_VERSION").to_owned()), None)
            .build()?;
        Ok(Self { client })
    }

    /// The payment as it is now.
    pub(super) async fn intent(&self, id: &str) -> Result<PaymentIntent, Refusal> {
        let request = RequestBuilder::new(StripeMethod::Get, format!("/payment_intents/{id}"));
        self.send(request.customize()).await
    }

    /// Its refunds, newest first.
    pub(super) async fn refunds(&self, id: &str) -> Result<Vec<Refund>, Refusal> {
        let request = RequestBuilder::new(StripeMethod::Get, "/refunds")
            .query(&ListRefunds { payment_intent: id, limit: REFUNDS });
        self.send::<List<Refund>>(request.customize()).await.map(|list| list.data)
    }

    /// Makes a payment that reserves nothing yet.
    pub(super) async fn create(&self, one: Try<'_>, amount: u64, currency: &str) -> Result<PaymentIntent, Refusal> {
        let form = Create {
            amount,
            currency,
            capture_method: "manual",
            payment_method_types: ["card"],
            metadata: Metadata { ticketing_key: one.key },
        };
        self.post("/payment_intents".to_owned(), &form, one, "create").await
    }

    /// Reserves the money. A card whose bank wants to ask the payer is
    /// declined: there is nobody here who could be sent to the bank's page.
    pub(super) async fn confirm(&self, one: Try<'_>, id: &str, card: Card<'_>) -> Result<PaymentIntent, Refusal> {
        let (payment_method, payment_method_data) = match card {
            Card::Method(method) => (Some(method), None),
            Card::Token(token) => (None, Some(CardData { r#type: "card", card: CardToken { token } })),
        };
        let form = Confirm { error_on_requires_action: true, payment_method, payment_method_data };
        self.post(format!("/payment_intents/{id}/confirm"), &form, one, "confirm").await
    }

    /// Takes the whole reserved amount.
    pub(super) async fn capture(&self, one: Try<'_>, id: &str) -> Result<PaymentIntent, Refusal> {
        let form = Capture { metadata: CaptureMetadata { ticketing_capture_key: one.key } };
        self.post(format!("/payment_intents/{id}/capture"), &form, one, "capture").await
    }

    /// Lets the reservation go, or a payment that has none.
    pub(super) async fn cancel(
        &self,
        one: Try<'_>,
        id: &str,
        cancellation_reason: Option<&str>,
    ) -> Result<PaymentIntent, Refusal> {
        self.post(format!("/payment_intents/{id}/cancel"), &Cancel { cancellation_reason }, one, "cancel").await
    }

    /// Gives back all that was taken and not given back yet.
    pub(super) async fn refund(&self, one: Try<'_>, id: &str) -> Result<Refund, Refusal> {
        let form = MakeRefund { payment_intent: id, metadata: Metadata { ticketing_key: one.key } };
        self.post("/refunds".to_owned(), &form, one, "refund").await
    }

    async fn post<T: miniserde::Deserialize>(
        &self,
        path: String,
        form: &impl Serialize,
        one: Try<'_>,
        step: &str,
    ) -> Result<T, Refusal> {
        let key = IdempotencyKey::new(one.idempotency_key(step))
            .map_err(|error| Refusal::Unknown(Unanswered::new(error.to_string())))?;
        let request = RequestBuilder::new(StripeMethod::Post, path).form(form);
        self.send(request.customize().request_strategy(RequestStrategy::Idempotent(key))).await
    }

    async fn send<T: miniserde::Deserialize>(&self, request: CustomizableStripeRequest<T>) -> Result<T, Refusal> {
        request.send(&self.client).await.map_err(|error| match error {
            StripeError::Stripe(error, status) => refusal(&error, status),
            StripeError::Timeout => Refusal::Unknown(Unanswered::new("no answer from Stripe in time")),
            lost => Refusal::Unknown(Unanswered::new(lost.to_string())),
        })
    }
}

/// What an error of Stripe means for the call.
fn refusal(error: &ApiErrors, status: u16) -> Refusal {
    let said = || error.message.clone().unwrap_or_else(|| format!("Stripe answers {status}"));
    match (status, &error.type_) {
        (401 | 403, _) => {
            // Its message shows parts of the key.
            let code = error.code.as_ref().map_or("none", ApiErrorsCode::as_str);
            tracing::error!(
                status,
                code,
                "Stripe does not accept the key of this host; set STRIPE_KEY to one that may do this. Nothing is lost: payments go on then"
            );
            Refusal::Unknown(Unanswered::new("Stripe does not accept the key of this host"))
        }
        (409 | 424 | 429, _) => Refusal::Unknown(Unanswered::new(said())),
        (_, ApiErrorsType::CardError) => Refusal::Declined(decline(error)),
        (_, ApiErrorsType::IdempotencyError) => Refusal::Unknown(Unanswered { detail: said(), is_kept: true }),
        (404, _) => Refusal::Missing,
        (400..=499, _) if matches!(error.code, Some(ApiErrorsCode::PaymentIntentUnexpectedState)) => {
            Refusal::State(said())
        }
        (400..=499, _) => Refusal::Invalid(said()),
        _ => Refusal::Unknown(Unanswered { detail: said(), is_kept: true }),
    }
}

/// Why the card was refused, in the most telling word that there is.
pub(super) fn decline(error: &ApiErrors) -> Decline {
    let code = error.code.as_ref().map_or("card_declined", ApiErrorsCode::as_str);
    let code = match (&error.code, error.decline_code.as_deref()) {
        (Some(ApiErrorsCode::AuthenticationRequired), _) | (_, None | Some("generic_decline")) => code,
        (_, Some(reason)) => reason,
    };
    let message = error.message.clone().unwrap_or_else(|| "Your card was declined.".to_owned());
    Decline { code: code.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idempotency_keys_are_of_one_step_and_fit_whatever_a_component_chooses() {
        let one = |key: &str, step: &str, number: i64| Try { key, number }.idempotency_key(step);
        assert_eq!(one("cards/a:1", "confirm", 0), "confirm:0:cards/a:1");
        let long = format!("{}/{}", "c".repeat(64), "k".repeat(200));
        let keys = [
            one("cards/a:1", "confirm", 0),
            one("cards/a:1", "create", 0),
            one("cards/a:1", "confirm", 1),
            one(&long, "confirm", 0),
            one(&format!("{long}x"), "confirm", 0),
            one("cards/ä", "confirm", 0),
            one("cards/a\nb", "confirm", 0),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(key.len() <= 255 && key.bytes().all(|byte| byte.is_ascii_graphic()), "{key}");
            assert!(!keys[at + 1..].contains(key), "{key}");
        }
    }

    #[test]
    fn only_what_can_be_a_token_or_a_payment_method_is_sent() {
        assert!(matches!(Card::named("tok_visa"), Some(Card::Token("tok_visa"))));
        assert!(matches!(Card::named("pm_card_visa"), Some(Card::Method("pm_card_visa"))));
        for name in ["", "visa", "4242424242424242", "src_1", "tok_a/b", "pm_ä", "tok_a b"] {
            assert!(Card::named(name).is_none(), "{name}");
        }
    }
}
