//! The errors of Stripe, and their meaning for a call.

use crate::payments::Decline;
use stripe::{ApiErrors, ApiErrorsCode, ApiErrorsType, StripeError};

/// Why a request did not succeed.
#[derive(Debug)]
pub(in crate::payments::stripe) enum ApiError {
    /// The bank declines the card.
    Declined(Decline),
    /// The state of the payment does not allow the request.
    UnexpectedState(String),
    /// Stripe does not know the payment.
    NotFound,
    /// Stripe does not accept the request.
    Invalid(String),
    /// The request may have taken effect or not.
    Unknown(UnknownOutcome),
}

/// Why the outcome of a request is unknown.
#[derive(Debug)]
pub(in crate::payments::stripe) struct UnknownOutcome {
    pub(in crate::payments::stripe) detail: String,
    /// Stripe will return this error again for the same idempotency key.
    pub(in crate::payments::stripe) is_repeated_by_stripe: bool,
}

impl UnknownOutcome {
    /// An unknown outcome. The same request may get another response.
    pub(in crate::payments::stripe) fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), is_repeated_by_stripe: false }
    }

    /// An unknown outcome that Stripe returns for this idempotency key from now on.
    pub(in crate::payments::stripe) fn repeated_by_stripe(detail: String) -> Self {
        Self { detail, is_repeated_by_stripe: true }
    }
}

impl From<StripeError> for ApiError {
    fn from(error: StripeError) -> Self {
        match error {
            StripeError::Stripe(error, status) => of_response(&error, status),
            StripeError::Timeout => Self::Unknown(UnknownOutcome::new("no answer from Stripe in time")),
            other => Self::Unknown(UnknownOutcome::new(other.to_string())),
        }
    }
}

fn of_response(error: &ApiErrors, status: u16) -> ApiError {
    let message = || error.message.clone().unwrap_or_else(|| format!("Stripe answers {status}"));
    match (status, &error.type_) {
        (401 | 403, _) => {
            // The message of Stripe contains parts of the key.
            let code = error.code.as_ref().map_or("none", ApiErrorsCode::as_str);
            tracing::error!(
                status,
                code,
                "Stripe does not accept the key of this host; set STRIPE_KEY to a key with the needed permissions. Nothing is lost: payments continue with such a key"
            );
            ApiError::Unknown(UnknownOutcome::new("Stripe does not accept the key of this host"))
        }
        (409 | 424 | 429, _) => ApiError::Unknown(UnknownOutcome::new(message())),
        (_, ApiErrorsType::CardError) => ApiError::Declined(decline(error)),
        (_, ApiErrorsType::IdempotencyError) => ApiError::Unknown(UnknownOutcome::repeated_by_stripe(message())),
        (404, _) => ApiError::NotFound,
        (400..=499, _) if matches!(error.code, Some(ApiErrorsCode::PaymentIntentUnexpectedState)) => {
            ApiError::UnexpectedState(message())
        }
        (400..=499, _) => ApiError::Invalid(match blamed_argument(error) {
            Some(argument) => format!("{argument}: {}", message()),
            None => message(),
        }),
        _ => ApiError::Unknown(UnknownOutcome::repeated_by_stripe(message())),
    }
}

/// The argument of a charge that no card can help with.
fn blamed_argument(error: &ApiErrors) -> Option<&'static str> {
    match (&error.code, error.param.as_deref()) {
        (Some(ApiErrorsCode::AmountTooSmall | ApiErrorsCode::AmountTooLarge), _) | (_, Some("amount")) => {
            Some("amount")
        }
        (_, Some("currency")) => Some("currency"),
        _ => None,
    }
}

/// The decline of a card, with the most specific code of the response.
pub(in crate::payments::stripe) fn decline(error: &ApiErrors) -> Decline {
    let code = error.code.as_ref().map_or("card_declined", ApiErrorsCode::as_str);
    let code = match (&error.code, error.decline_code.as_deref()) {
        (Some(ApiErrorsCode::AuthenticationRequired), _) | (_, None | Some("generic_decline")) => code,
        (_, Some(reason)) => reason,
    };
    let message = error.message.clone().unwrap_or_else(|| "Your card was declined.".to_owned());
    Decline { code: code.to_owned(), message }
}
