//! What a test token stands for. The names are those of
//! <https://docs.stripe.com/testing>, as tokens (`tok_`) and as payment
//! methods (`pm_card_`).

/// What the bank says to a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Approved,
    Declined { code: &'static str, message: &'static str },
    Unknown,
}

/// Tokens of this provider alone, which approve in the end.
pub(super) const TIMEOUT_BEFORE_CHARGE: &str = "tok_simulate_timeout_before_charge";
pub(super) const TIMEOUT_AFTER_CHARGE: &str = "tok_simulate_timeout_after_charge";
pub(super) const SLOW: &str = "tok_simulate_slow";

const APPROVED: [&str; 11] = [
    "visa",
    "visa_debit",
    "mastercard",
    "mastercard_debit",
    "mastercard_prepaid",
    "amex",
    "discover",
    "diners",
    "jcb",
    "unionpay",
    "us",
];

/// A payer is not told that his card was reported, only that it was refused.
const REFUSED: &str = "Your card was declined.";

/// The end of the name, the code, and what the payer reads.
const DECLINED: [(&str, &str, &str); 10] = [
    ("chargeDeclined", "card_declined", REFUSED),
    ("chargeCustomerFail", "card_declined", REFUSED),
    ("chargeDeclinedInsufficientFunds", "insufficient_funds", "Your card has insufficient funds."),
    ("chargeDeclinedFraudulent", "fraudulent", REFUSED),
    ("chargeDeclinedLostCard", "lost_card", REFUSED),
    ("chargeDeclinedStolenCard", "stolen_card", REFUSED),
    ("chargeDeclinedIncorrectCvc", "incorrect_cvc", "Your card's security code is incorrect."),
    ("chargeDeclinedExpiredCard", "expired_card", "Your card has expired."),
    ("chargeDeclinedProcessingError", "processing_error", "Your card could not be processed. Try again shortly."),
    ("chargeDeclinedVelocityLimitExceeded", "card_velocity_exceeded", "Your card was used too often lately."),
];

pub(super) fn verdict(token: &str) -> Verdict {
    if [TIMEOUT_BEFORE_CHARGE, TIMEOUT_AFTER_CHARGE, SLOW].contains(&token) {
        return Verdict::Approved;
    }
    let Some(card) = token.strip_prefix("tok_").or_else(|| token.strip_prefix("pm_card_")) else {
        return Verdict::Unknown;
    };
    if APPROVED.contains(&card) {
        return Verdict::Approved;
    }
    let brandless = card.strip_prefix("visa_debit_").or_else(|| card.strip_prefix("visa_")).unwrap_or(card);
    match DECLINED.into_iter().find(|(name, ..)| *name == brandless) {
        Some((_, code, message)) => Verdict::Declined { code, message },
        None => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_tokens_are_known() {
        for token in [
            "tok_visa",
            "tok_visa_debit",
            "tok_mastercard",
            "tok_mastercard_debit",
            "tok_mastercard_prepaid",
            "tok_amex",
            "tok_discover",
            "tok_diners",
            "tok_jcb",
            "tok_unionpay",
            "pm_card_visa",
            SLOW,
        ] {
            assert_eq!(verdict(token), Verdict::Approved, "{token}");
        }
        for (token, expected) in [
            ("tok_chargeDeclined", "card_declined"),
            ("tok_visa_chargeDeclined", "card_declined"),
            ("tok_chargeDeclinedInsufficientFunds", "insufficient_funds"),
            ("tok_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
            ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
            ("tok_visa_debit_chargeDeclinedInsufficientFunds", "insufficient_funds"),
            ("tok_chargeDeclinedFraudulent", "fraudulent"),
            ("tok_visa_chargeDeclinedLostCard", "lost_card"),
            ("tok_visa_chargeDeclinedStolenCard", "stolen_card"),
            ("tok_chargeDeclinedIncorrectCvc", "incorrect_cvc"),
            ("tok_chargeDeclinedExpiredCard", "expired_card"),
            ("pm_card_chargeDeclinedProcessingError", "processing_error"),
            ("tok_chargeCustomerFail", "card_declined"),
        ] {
            assert!(matches!(verdict(token), Verdict::Declined { code, .. } if code == expected), "{token}");
        }
        for token in ["", "tok_", "visa", "tok_Visa", "tok_visa ", "tok_chargeDeclinedX", "4242424242424242"] {
            assert_eq!(verdict(token), Verdict::Unknown, "{token}");
        }
    }
}
