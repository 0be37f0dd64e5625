//! What a payment's state says about a call. It is asked for where a call may
//! have been made before, and is the last word: states are kept for ever,
//! idempotency keys are not.

use super::{
    super::{Decline, Settlement},
    api::{self, CAPTURE_KEY, KEY},
};
use stripe_shared::{PaymentIntent, PaymentIntentCancellationReason, PaymentIntentStatus, Refund};

/// Why a payment was cancelled that its bank wanted to ask the payer about.
pub(super) const UNASKED: &str = "abandoned";

/// Where an authorization stands.
#[derive(Debug)]
pub(super) enum Authorized {
    /// The money is reserved, or was taken since.
    Yes,
    /// It is not, and will not be.
    No(Decline),
    /// The bank wants to ask the payer.
    Asks,
    /// No card was tried yet.
    Untried,
    /// Stripe is at work.
    UnderWay,
}

/// Where a settlement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// It was done.
    Yes,
    /// It was not, and can be.
    Open,
    /// It cannot be done; where the payment is instead.
    Never(&'static str),
    /// Stripe is at work.
    UnderWay,
}

pub(super) fn authorized(intent: &PaymentIntent) -> Authorized {
    match &intent.status {
        PaymentIntentStatus::RequiresCapture | PaymentIntentStatus::Succeeded => Authorized::Yes,
        PaymentIntentStatus::RequiresAction => Authorized::Asks,
        PaymentIntentStatus::RequiresPaymentMethod | PaymentIntentStatus::RequiresConfirmation => intent
            .last_payment_error
            .as_deref()
            .map_or(Authorized::Untried, |error| Authorized::No(api::decline(error))),
        PaymentIntentStatus::Canceled => Authorized::No(match &intent.last_payment_error {
            Some(error) => api::decline(error),
            None if intent.cancellation_reason.as_ref().is_some_and(|reason| reason.as_str() == UNASKED) => unasked(),
            None => Decline { code: "canceled".to_owned(), message: "The payment was cancelled.".to_owned() },
        }),
        _ => Authorized::UnderWay,
    }
}

/// The decline of a card whose bank wants to ask the payer.
pub(super) fn unasked() -> Decline {
    Decline {
        code: "authentication_required".to_owned(),
        message: "Your card's bank wants to authenticate the payment, which is not possible here. Try another card."
            .to_owned(),
    }
}

/// Whether it was done by the call with this key; by anybody, if that call was
/// begun before and its outcome is not known. What is done twice by two calls
/// is done by the first.
pub(super) fn settled(
    settlement: Settlement,
    key: &str,
    is_repeated: bool,
    intent: &PaymentIntent,
    refunds: &[Refund],
) -> Settled {
    let is_ours = |is_ours: bool, state| if is_repeated || is_ours { Settled::Yes } else { Settled::Never(state) };
    match (&intent.status, settlement) {
        (PaymentIntentStatus::Processing | PaymentIntentStatus::Unknown(_), _) => Settled::UnderWay,
        (PaymentIntentStatus::RequiresCapture, Settlement::Capture | Settlement::Void) => Settled::Open,
        (PaymentIntentStatus::RequiresCapture, Settlement::Refund) => Settled::Never("authorized"),
        (PaymentIntentStatus::Succeeded, Settlement::Capture) => {
            is_ours(intent.metadata.get(CAPTURE_KEY).is_some_and(|of| of == key), "captured")
        }
        (PaymentIntentStatus::Succeeded, Settlement::Void) => Settled::Never("captured"),
        (PaymentIntentStatus::Succeeded, Settlement::Refund) => {
            let made =
                || refunds.iter().filter(|refund| !matches!(refund.status.as_deref(), Some("failed" | "canceled")));
            if made().any(|refund| refund.metadata.as_ref().and_then(|data| data.get(KEY)).is_some_and(|of| of == key))
            {
                return Settled::Yes;
            }
            let sum = made().fold(0_i64, |sum, refund| sum.saturating_add(refund.amount));
            if sum < intent.amount_received { Settled::Open } else { is_ours(false, "refunded") }
        }
        // Stripe lets go by itself what nobody captures for a week.
        (PaymentIntentStatus::Canceled, Settlement::Void) => is_ours(
            matches!(
                intent.cancellation_reason,
                Some(PaymentIntentCancellationReason::Automatic | PaymentIntentCancellationReason::Expired)
            ),
            "voided",
        ),
        (PaymentIntentStatus::Canceled, _) => Settled::Never("voided"),
        _ => Settled::Never("not made"),
    }
}
