//! The account: payment intents, refunds, and the operations on them.

use crate::{
    answer::{Answer, with},
    cards::{self, Bank},
    faults::Endpoint,
    server::Parameters,
};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// A payment intent as the account's owner sees it. Amounts are in minor
/// units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// `pi_...`
    pub id: String,
    /// The intended amount.
    pub amount: u64,
    /// ISO 4217, in lower case.
    pub currency: String,
    /// Such as `requires_capture`.
    pub status: &'static str,
    /// The captured amount.
    pub received: u64,
    /// The refunded amount.
    pub refunded: u64,
    /// `metadata`, as `name=value`.
    pub metadata: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Account {
    intents: Vec<Intent>,
    refunds: Vec<Value>,
}

#[derive(Debug)]
struct Intent {
    payment: Payment,
    created: u64,
    method: Option<String>,
    last_error: Value,
    cancellation_reason: Value,
}

impl Account {
    pub(crate) fn payments(&self) -> Vec<Payment> {
        self.intents.iter().map(|intent| intent.payment.clone()).collect()
    }

    pub(crate) fn capture_by_hand(&mut self, id: &str) {
        if let Some(intent) = self.intent(id) {
            intent.capture();
        }
    }

    pub(crate) fn expire(&mut self, id: &str) {
        if let Some(intent) = self.intent(id) {
            intent.payment.status = "canceled";
            intent.cancellation_reason = "automatic".into();
        }
    }

    pub(crate) fn handle(&mut self, endpoint: Endpoint, path: &str, sent: &Parameters) -> Answer {
        let id = path.split('/').nth(3).unwrap_or_default();
        match endpoint {
            Endpoint::Create => self.create(sent),
            Endpoint::Refund => self.refund(sent),
            Endpoint::Refunds => self.list_refunds(sent),
            Endpoint::Confirm | Endpoint::Capture | Endpoint::Cancel | Endpoint::Retrieve => {
                let Some(intent) = self.intent(id) else { return missing("payment_intent", id) };
                match endpoint {
                    Endpoint::Confirm => intent.confirm(sent),
                    Endpoint::Capture => intent.take(sent),
                    Endpoint::Cancel => intent.cancel(sent),
                    _ => Answer::ok(&intent.json()),
                }
            }
        }
    }

    fn intent(&mut self, id: &str) -> Option<&mut Intent> {
        self.intents.iter_mut().find(|intent| intent.payment.id == id)
    }

    fn create(&mut self, sent: &Parameters) -> Answer {
        let parameter = |name: &str| sent.get(name).map(String::as_str).unwrap_or_default();
        let amount: u64 = parameter("amount").parse().unwrap_or(0);
        if !(1..=99_999_999).contains(&amount) {
            return Answer::invalid("parameter_invalid_integer", "Invalid amount.").not_kept();
        }
        let currency = parameter("currency").to_owned();
        if !["usd", "eur", "gbp", "jpy"].contains(&currency.as_str()) {
            return Answer::invalid("parameter_invalid", &format!("Invalid currency: {currency}.")).not_kept();
        }
        if amount < minimum(&currency) {
            let message = format!("Amount must be at least {} {currency}", minimum(&currency));
            return Answer::invalid("amount_too_small", &message).not_kept();
        }
        if parameter("capture_method") != "manual" || parameter("payment_method_types[0]") != "card" {
            return Answer::invalid("parameter_unknown", "Only cards, and only two steps, here.").not_kept();
        }
        let id = format!("pi_3StandIn{:08}", self.intents.len());
        let mut intent = Intent {
            payment: Payment {
                id,
                amount,
                currency,
                status: "requires_payment_method",
                received: 0,
                refunded: 0,
                metadata: Vec::new(),
            },
            created: now(),
            method: None,
            last_error: Value::Null,
            cancellation_reason: Value::Null,
        };
        intent.note(sent);
        let answer = if parameter("confirm") == "true" { intent.confirm(sent) } else { Answer::ok(&intent.json()) };
        self.intents.push(intent);
        answer
    }

    fn refund(&mut self, sent: &Parameters) -> Answer {
        let id = sent.get("payment_intent").cloned().unwrap_or_default();
        let number = self.refunds.len();
        let Some(intent) = self.intent(&id) else { return missing("payment_intent", &id) };
        let payment = &mut intent.payment;
        if payment.received == 0 {
            let message = format!("This PaymentIntent ({id}) does not have a successful charge to refund.");
            return Answer::invalid("payment_intent_unexpected_state", &message);
        }
        let left = payment.received - payment.refunded;
        if left == 0 {
            return Answer::invalid("charge_already_refunded", "The charge has already been refunded.");
        }
        payment.refunded += left;
        let refund = json!({
            "id": format!("re_3StandIn{number:08}"),
            "object": "refund",
            "amount": left,
            "charge": payment.charge(),
            "created": now(),
            "currency": payment.currency,
            "metadata": object(&metadata(sent)),
            "payment_intent": id,
            "reason": null,
            "status": "succeeded",
        });
        self.refunds.push(refund.clone());
        Answer::ok(&refund)
    }

    fn list_refunds(&self, sent: &Parameters) -> Answer {
        let wanted = sent.get("payment_intent");
        let of =
            |refund: &&Value| wanted.is_none_or(|id| refund.get("payment_intent").is_some_and(|of| of == id.as_str()));
        let data: Vec<&Value> = self.refunds.iter().rev().filter(of).collect();
        Answer::ok(&json!({ "object": "list", "data": data, "has_more": false, "url": "/v1/refunds" }))
    }
}

impl Payment {
    fn charge(&self) -> String {
        self.id.replacen("pi_", "ch_", 1)
    }
}

impl Intent {
    fn confirm(&mut self, sent: &Parameters) -> Answer {
        if !["requires_payment_method", "requires_confirmation", "requires_action"].contains(&self.payment.status) {
            return self.wrong_state("confirmed");
        }
        let token = sent.get("payment_method_data[card][token]");
        let Some(name) = token.or_else(|| sent.get("payment_method")).cloned() else {
            return Answer::invalid("payment_intent_unexpected_state", "There is no payment method to confirm with.");
        };
        let Some(bank) = cards::bank(&name) else {
            return missing(if token.is_some() { "token" } else { "PaymentMethod" }, &name);
        };
        self.method = Some(name);
        match bank {
            Bank::Approves => self.payment.status = "requires_capture",
            Bank::Declines { code, decline_code, message } => return self.decline(code, decline_code, message),
            Bank::Asks if sent.get("error_on_requires_action").is_some_and(|flag| flag == "true") => {
                let message = "Your card was declined. This transaction requires authentication.";
                return self.decline("authentication_required", Some("authentication_not_handled"), message);
            }
            Bank::Asks => self.payment.status = "requires_action",
        }
        Answer::ok(&self.json())
    }

    fn decline(&mut self, code: &str, decline_code: Option<&str>, message: &str) -> Answer {
        self.payment.status = "requires_payment_method";
        self.method = None;
        let mut error = json!({
            "type": "card_error",
            "code": code,
            "message": message,
            "charge": self.payment.charge(),
            "doc_url": format!("https://docs.stripe.com/error-codes/{}", code.replace('_', "-")),
        });
        if let Some(decline_code) = decline_code {
            error = with(error, "decline_code", decline_code.into());
        }
        self.last_error = error.clone();
        Answer::error(402, with(error, "payment_intent", self.json()))
    }

    fn take(&mut self, sent: &Parameters) -> Answer {
        if self.payment.status != "requires_capture" {
            return self.wrong_state("captured");
        }
        self.note(sent);
        self.capture();
        Answer::ok(&self.json())
    }

    fn capture(&mut self) {
        self.payment.status = "succeeded";
        self.payment.received = self.payment.amount;
    }

    fn cancel(&mut self, sent: &Parameters) -> Answer {
        if ["succeeded", "canceled"].contains(&self.payment.status) {
            return self.wrong_state("canceled");
        }
        self.payment.status = "canceled";
        self.cancellation_reason = sent.get("cancellation_reason").map_or(Value::Null, |reason| reason.clone().into());
        Answer::ok(&self.json())
    }

    fn wrong_state(&self, what: &str) -> Answer {
        let message =
            format!("This PaymentIntent could not be {what} because it has a status of {}.", self.payment.status);
        Answer::error(
            400,
            json!({
                "type": "invalid_request_error",
                "code": "payment_intent_unexpected_state",
                "message": message,
                "payment_intent": self.json(),
            }),
        )
    }

    /// Adds the metadata of a request to the intent's.
    fn note(&mut self, sent: &Parameters) {
        self.payment.metadata.extend(metadata(sent));
    }

    fn json(&self) -> Value {
        let payment = &self.payment;
        let capturable = if payment.status == "requires_capture" { payment.amount } else { 0 };
        json!({
            "id": payment.id,
            "object": "payment_intent",
            "amount": payment.amount,
            "amount_capturable": capturable,
            "amount_received": payment.received,
            "application": null,
            "application_fee_amount": null,
            "automatic_payment_methods": null,
            "canceled_at": null,
            "cancellation_reason": self.cancellation_reason,
            "capture_method": "manual",
            "client_secret": format!("{}_secret_ofNobody", payment.id),
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": payment.currency,
            "customer": null,
            "description": null,
            "last_payment_error": self.last_error,
            "latest_charge": self.method.as_ref().map(|_| payment.charge()),
            "livemode": false,
            "metadata": object(&payment.metadata),
            "next_action": null,
            "on_behalf_of": null,
            "payment_method": self.method.as_ref().map(|_| "pm_1StandIn"),
            "payment_method_options": { "card": { "request_three_d_secure": "automatic" } },
            "payment_method_types": ["card"],
            "processing": null,
            "receipt_email": null,
            "review": null,
            "setup_future_usage": null,
            "shipping": null,
            "source": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": payment.status,
            "transfer_data": null,
            "transfer_group": null,
        })
    }
}

/// The smallest charge of a currency, as Stripe publishes it.
fn minimum(currency: &str) -> u64 {
    if currency == "gbp" { 30 } else { 50 }
}

fn missing(kind: &str, id: &str) -> Answer {
    let status = if kind == "payment_intent" { 404 } else { 400 };
    let message = format!("No such {kind}: '{id}'");
    Answer::error(status, json!({ "type": "invalid_request_error", "code": "resource_missing", "message": message }))
}

fn metadata(sent: &Parameters) -> Vec<String> {
    let named = |(name, value): (&String, &String)| {
        let name = name.strip_prefix("metadata[")?.strip_suffix(']')?;
        Some(format!("{name}={value}"))
    };
    sent.iter().filter_map(named).collect()
}

fn object(metadata: &[String]) -> Value {
    metadata
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
