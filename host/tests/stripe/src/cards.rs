//! Test cards. The end of a token's or payment method's name selects the card.

/// The bank's decision about a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bank {
    Approves,
    /// The bank asks for the payer's authentication first.
    Asks,
    Declines {
        code: &'static str,
        decline_code: Option<&'static str>,
        message: &'static str,
    },
}

const APPROVED: [&str; 8] = ["visa", "visa_debit", "mastercard", "amex", "discover", "diners", "jcb", "unionpay"];

const ASKING: [&str; 4] = ["threeDSecure2Required", "threeDSecureRequired", "authenticationRequired", "threeDSecure"];

const REFUSED: &str = "Your card was declined.";

/// The end of the name, the code, the decline code, and the message.
const DECLINED: [(&str, &str, Option<&str>, &str); 7] = [
    ("chargeDeclined", "card_declined", Some("generic_decline"), REFUSED),
    (
        "chargeDeclinedInsufficientFunds",
        "card_declined",
        Some("insufficient_funds"),
        "Your card has insufficient funds.",
    ),
    ("chargeDeclinedLostCard", "card_declined", Some("lost_card"), REFUSED),
    ("chargeDeclinedStolenCard", "card_declined", Some("stolen_card"), REFUSED),
    ("chargeDeclinedExpiredCard", "expired_card", None, "Your card has expired."),
    ("chargeDeclinedIncorrectCvc", "incorrect_cvc", None, "Your card's security code is incorrect."),
    (
        "chargeDeclinedProcessingError",
        "processing_error",
        None,
        "An error occurred while processing your card. Try again in a little bit.",
    ),
];

/// None if there is no such token or payment method.
pub(crate) fn bank(name: &str) -> Option<Bank> {
    let card = name.strip_prefix("tok_").or_else(|| name.strip_prefix("pm_card_"))?;
    if APPROVED.contains(&card) {
        return Some(Bank::Approves);
    }
    if ASKING.contains(&card) {
        return Some(Bank::Asks);
    }
    let card = card.strip_prefix("visa_").unwrap_or(card);
    let (_, code, decline_code, message) = DECLINED.into_iter().find(|(name, ..)| *name == card)?;
    Some(Bank::Declines { code, decline_code, message })
}
