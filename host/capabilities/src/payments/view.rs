//! The calls of components into `platform:payments`.

use super::{Error, Money, Payments, Settlement};
use crate::bindings::platform::payments::payments::{self as bindings, Host};
use host_telemetry::Span;
use tokio::time;
use wasmtime::component::{HasData, Linker};

const MAX_KEY_BYTES: usize = 200;
const MAX_TOKEN_BYTES: usize = 200;
const MAX_AUTHORIZATION_BYTES: usize = 200;

/// The highest amount of one charge: eight digits, as at Stripe.
const MAX_AMOUNT: u64 = 99_999_999;

/// The service, as one invocation of a component sees it.
#[derive(Debug)]
pub struct PaymentsView<'a> {
    /// The service of the host.
    pub payments: &'a Payments,
    /// The name of the component. Each component has its own keys.
    pub component: &'a str,
    /// The trace context of the invocation.
    pub traceparent: Option<&'a str>,
}

/// Names the type of the view for the linker.
#[derive(Debug)]
struct HasPayments;

impl HasData for HasPayments {
    type Data<'a> = PaymentsView<'a>;
}

/// Links `platform:payments`. `view` returns the view of the current invocation.
///
/// # Errors
/// When the interface is linked already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> PaymentsView<'_>,
) -> wasmtime::Result<()> {
    bindings::add_to_linker::<T, HasPayments>(linker, view)
}

impl PaymentsView<'_> {
    pub(super) async fn authorize(&self, key: &str, amount: Money, token: String) -> Result<String, Error> {
        let key = self.key(key)?;
        check_text("token", &token)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Error::Invalid(format!("token: at most {MAX_TOKEN_BYTES} bytes")));
        }
        check_money(&amount)?;
        self.observe("authorize", self.payments.authorize(&key, amount, token)).await
    }

    pub(super) async fn settle(&self, settlement: Settlement, key: &str, authorization: String) -> Result<(), Error> {
        let key = self.key(key)?;
        check_text("authorization", &authorization)?;
        if authorization.len() > MAX_AUTHORIZATION_BYTES {
            return Err(Error::Invalid(format!("authorization: at most {MAX_AUTHORIZATION_BYTES} bytes")));
        }
        self.observe(settlement.name(), self.payments.settle(&key, settlement, authorization)).await
    }

    /// The key of the host for a key of the component.
    fn key(&self, key: &str) -> Result<String, Error> {
        check_text("key", key)?;
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(Error::Invalid(format!("key: 1 to {MAX_KEY_BYTES} bytes")));
        }
        // The name of a component contains no slash, so the keys of two components
        // always differ.
        Ok(format!("{}/{key}", self.component))
    }

    /// Limits the time of a call, counts it and records its span.
    async fn observe<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let span = Span::start_call(self.traceparent, || format!("payments {operation}"));
        let limit = self.payments.call_timeout;
        let outcome = time::timeout(limit, call)
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable(format!("no answer within {} ms", limit.as_millis()))));
        let name = outcome_name(&outcome);
        if let Some(mut span) = span {
            span.set_attributes(|| [("component", self.component.to_owned().into()), ("outcome", name.into())]);
            if outcome.is_err() {
                span.fail_with_type(name);
            }
        }
        metrics::counter!("payments_calls_total", "operation" => operation, "outcome" => name).increment(1);
        outcome
    }
}

/// PostgreSQL does not store U+0000.
fn check_text(name: &str, text: &str) -> Result<(), Error> {
    if text.contains('\0') { Err(Error::Invalid(format!("{name}: no U+0000"))) } else { Ok(()) }
}

fn check_money(money: &Money) -> Result<(), Error> {
    if !(1..=MAX_AMOUNT).contains(&money.amount) {
        return Err(Error::Invalid(format!("amount: 1 to {MAX_AMOUNT} minor units")));
    }
    if money.currency.len() != 3 || !money.currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(Error::Invalid("currency: three lower-case letters".to_owned()));
    }
    Ok(())
}

fn outcome_name<T>(outcome: &Result<T, Error>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(Error::Declined(_)) => "declined",
        Err(Error::Invalid(_)) => "invalid",
        Err(Error::Unavailable(_)) => "unavailable",
    }
}

impl Host for PaymentsView<'_> {
    async fn authorize(
        &mut self,
        key: String,
        amount: Money,
        token: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        Ok(PaymentsView::authorize(self, &key, amount, token).await)
    }

    async fn capture(&mut self, key: String, authorization: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.settle(Settlement::Capture, &key, authorization).await)
    }

    async fn void(&mut self, key: String, authorization: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.settle(Settlement::Void, &key, authorization).await)
    }

    async fn refund(&mut self, key: String, authorization: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.settle(Settlement::Refund, &key, authorization).await)
    }
}
