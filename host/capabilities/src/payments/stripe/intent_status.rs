//! Decides the outcome of a call from the state of its payment at Stripe. The host asks
//! for the state when a call may have been made before. The state is the final
//! authority: Stripe keeps states without a time limit, but forgets idempotency keys.

use super::{
    super::{Decline, operation::Settlement},
    api::{self, CAPTURE_KEY, KEY},
};
use stripe_shared::{PaymentIntent, PaymentIntentCancellationReason, PaymentIntentStatus, Refund};

/// The cancellation reason of a payment whose bank required an authentication of the
/// payer.
pub(super) const AUTHENTICATION_CANCELLED: &str = "abandoned";

/// The status of an authorization.
#[derive(Debug)]
pub(super) enum AuthorizationStatus {
    /// The money is reserved, or was captured since.
    Authorized,
    /// The money is not reserved, and never will be.
    Declined(Decline),
    /// The bank requires an authentication of the payer.
    AuthenticationRequired,
    /// Stripe has not tried a card yet.
    NotTried,
    /// Stripe is still processing the payment.
    Processing,
}

/// The status of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SettlementStatus {
    /// The settlement is done.
    Done,
    /// The settlement is not done, and the payment allows it.
    Possible,
    /// The payment does not allow the settlement, because it has this state.
    Impossible(&'static str),
    /// Stripe is still processing the payment.
    Processing,
}

/// The status of an authorization with this payment.
pub(super) fn authorization(intent: &PaymentIntent) -> AuthorizationStatus {
    match &intent.status {
        PaymentIntentStatus::RequiresCapture | PaymentIntentStatus::Succeeded => AuthorizationStatus::Authorized,
        PaymentIntentStatus::RequiresAction => AuthorizationStatus::AuthenticationRequired,
        PaymentIntentStatus::RequiresPaymentMethod | PaymentIntentStatus::RequiresConfirmation => intent
            .last_payment_error
            .as_deref()
            .map_or(AuthorizationStatus::NotTried, |error| AuthorizationStatus::Declined(api::decline(error))),
        PaymentIntentStatus::Canceled => AuthorizationStatus::Declined(cancelled(intent)),
        _ => AuthorizationStatus::Processing,
    }
}

fn cancelled(intent: &PaymentIntent) -> Decline {
    if let Some(error) = &intent.last_payment_error {
        return api::decline(error);
    }
    if intent.cancellation_reason.as_ref().is_some_and(|reason| reason.as_str() == AUTHENTICATION_CANCELLED) {
        return authentication_required();
    }
    Decline { code: "canceled".to_owned(), message: "The payment was cancelled.".to_owned() }
}

/// The decline of a card whose bank requires an authentication of the payer.
pub(super) fn authentication_required() -> Decline {
    Decline {
        code: "authentication_required".to_owned(),
        message: "Your card's bank wants to authenticate the payment, which is not possible here. Try another card."
            .to_owned(),
    }
}

/// The status of a settlement by the call with this key.
///
/// If the payment is settled already, the settlement counts as done if this call did it.
/// A repeated call whose outcome is unknown takes any settlement as its own. If two
/// calls settle a payment, the first one has done it.
pub(super) fn settlement(
    settlement: Settlement,
    key: &str,
    is_repeated: bool,
    intent: &PaymentIntent,
    refunds: &[Refund],
) -> SettlementStatus {
    let done_if = |is_own: bool, state| match is_repeated || is_own {
        true => SettlementStatus::Done,
        false => SettlementStatus::Impossible(state),
    };
    match (&intent.status, settlement) {
        (PaymentIntentStatus::Processing | PaymentIntentStatus::Unknown(_), _) => SettlementStatus::Processing,
        (PaymentIntentStatus::RequiresCapture, Settlement::Capture | Settlement::Void) => SettlementStatus::Possible,
        (PaymentIntentStatus::RequiresCapture, Settlement::Refund) => SettlementStatus::Impossible("authorized"),
        (PaymentIntentStatus::Succeeded, Settlement::Capture) => {
            done_if(intent.metadata.get(CAPTURE_KEY).is_some_and(|of| of == key), "captured")
        }
        (PaymentIntentStatus::Succeeded, Settlement::Void) => SettlementStatus::Impossible("captured"),
        (PaymentIntentStatus::Succeeded, Settlement::Refund) => match refund_of(key, intent, refunds) {
            RefundStatus::Own => SettlementStatus::Done,
            RefundStatus::AmountLeft => SettlementStatus::Possible,
            RefundStatus::Complete => done_if(false, "refunded"),
        },
        (PaymentIntentStatus::Canceled, Settlement::Void) => done_if(cancelled_by_stripe(intent), "voided"),
        (PaymentIntentStatus::Canceled, _) => SettlementStatus::Impossible("voided"),
        _ => SettlementStatus::Impossible("not made"),
    }
}

enum RefundStatus {
    /// A refund has the key of this call.
    Own,
    /// A part of the captured amount is not refunded.
    AmountLeft,
    /// Other calls have refunded the whole amount.
    Complete,
}

fn refund_of(key: &str, intent: &PaymentIntent, refunds: &[Refund]) -> RefundStatus {
    let valid = || refunds.iter().filter(|refund| !matches!(refund.status.as_deref(), Some("failed" | "canceled")));
    let is_own = |refund: &Refund| refund.metadata.as_ref().and_then(|data| data.get(KEY)).is_some_and(|of| of == key);
    if valid().any(is_own) {
        return RefundStatus::Own;
    }
    let refunded = valid().fold(0_i64, |sum, refund| sum.saturating_add(refund.amount));
    if refunded < intent.amount_received { RefundStatus::AmountLeft } else { RefundStatus::Complete }
}

/// Stripe cancels a payment by itself if nobody captures it within a week.
fn cancelled_by_stripe(intent: &PaymentIntent) -> bool {
    matches!(
        intent.cancellation_reason,
        Some(PaymentIntentCancellationReason::Automatic | PaymentIntentCancellationReason::Expired)
    )
}
