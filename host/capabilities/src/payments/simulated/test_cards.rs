//! The test cards of the simulated provider. The names are those of
//! <https://docs.stripe.com/testing>, as tokens (`tok_`) and as payment methods
//! (`pm_card_`).

/// The decision of the bank about a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CardDecision {
    Approved,
    Declined { code: &'static str, message: &'static str },
    UnknownToken,
}

/// Tokens that only this provider has. The bank approves them.
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

/// The message for reasons that the payer must not learn, such as a stolen card.
const NO_REASON: &str = "Your card was declined.";

/// The end of the token, the code, and the message for the payer.
const DECLINED: [(&str, &str, &str); 10] = [
    ("chargeDeclined", "card_declined", NO_REASON),
    ("chargeCustomerFail", "card_declined", NO_REASON),
    ("chargeDeclinedInsufficientFunds", "insufficient_funds", "Your card has insufficient funds."),
    ("chargeDeclinedFraudulent", "fraudulent", NO_REASON),
    ("chargeDeclinedLostCard", "lost_card", NO_REASON),
    ("chargeDeclinedStolenCard", "stolen_card", NO_REASON),
    ("chargeDeclinedIncorrectCvc", "incorrect_cvc", "Your card's security code is incorrect."),
    ("chargeDeclinedExpiredCard", "expired_card", "Your card has expired."),
    ("chargeDeclinedProcessingError", "processing_error", "Your card could not be processed. Try again shortly."),
    ("chargeDeclinedVelocityLimitExceeded", "card_velocity_exceeded", "Your card was used too often lately."),
];

pub(super) fn decide(token: &str) -> CardDecision {
    if [TIMEOUT_BEFORE_CHARGE, TIMEOUT_AFTER_CHARGE, SLOW].contains(&token) {
        return CardDecision::Approved;
    }
    let Some(card) = token.strip_prefix("tok_").or_else(|| token.strip_prefix("pm_card_")) else {
        return CardDecision::UnknownToken;
    };
    if APPROVED.contains(&card) {
        return CardDecision::Approved;
    }
    let brandless = card.strip_prefix("visa_debit_").or_else(|| card.strip_prefix("visa_")).unwrap_or(card);
    match DECLINED.into_iter().find(|(name, ..)| *name == brandless) {
        Some((_, code, message)) => CardDecision::Declined { code, message },
        None => CardDecision::UnknownToken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_tokens_have_their_decisions() {
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
            assert_eq!(decide(token), CardDecision::Approved, "{token}");
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
            assert!(matches!(decide(token), CardDecision::Declined { code, .. } if code == expected), "{token}");
        }
        for token in ["", "tok_", "visa", "tok_Visa", "tok_visa ", "tok_chargeDeclinedX", "4242424242424242"] {
            assert_eq!(decide(token), CardDecision::UnknownToken, "{token}");
        }
    }
}
