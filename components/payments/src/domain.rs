//! The states of an attempt to charge an order:
//!
//! ```text
//! authorizing -> authorized -> captured -> refunded
//!   |    |         |    |
//!   |    v         v    v
//!   |  declined  voided failed
//!   v
//! failed
//! ```

use ::events::{Money, OrderStatus, Parties, PaymentPending};
use ticketing_sdk::{Error, Result, Timestamp};

/// The copy of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The id.
    pub id: String,
    /// The version, from the latest event.
    pub version: i64,
    /// `created`, `complete` or `cancelled`.
    pub status: OrderStatus,
    /// `None` while only the event about the order's end has arrived.
    pub terms: Option<Terms>,
}

/// The buyer, the seller, the price and the time limit of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The buyer.
    pub user_id: String,
    /// The seller, unless the order is older than this field.
    pub seller_id: Option<String>,
    /// The payment must start before this time.
    pub expires_at: Timestamp,
    /// The price.
    pub price: Money,
}

/// The state of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptState {
    /// The provider is asked to authorize the charge, or its answer is lost.
    Authorizing,
    /// The money is reserved.
    Authorized,
    /// The provider has declined the card.
    Declined,
    /// The provider has refused the request as invalid.
    Failed,
    /// The money is captured.
    Captured,
    /// The authorization is voided: the money is no longer reserved.
    Voided,
    /// The captured money is refunded.
    Refunded,
}

impl AttemptState {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Authorizing, "authorizing"),
        (Self::Authorized, "authorized"),
        (Self::Declined, "declined"),
        (Self::Failed, "failed"),
        (Self::Captured, "captured"),
        (Self::Voided, "voided"),
        (Self::Refunded, "refunded"),
    ];

    /// The text in the database.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("failed", |(_, text)| text)
    }

    /// The state with this text. It reverses [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(state, _)| *state)
    }
}

/// An attempt to charge an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The id of the payment, which clients see.
    pub id: String,
    /// 0 for a new attempt. Each change adds 1.
    pub version: i64,
    /// The id of the order.
    pub order_id: String,
    /// The number of the attempt among the attempts for its order, from 1.
    pub number: i64,
    /// The state.
    pub state: AttemptState,
    /// The token of the card. It is stored until the provider has answered.
    pub token: Option<String>,
    /// The provider's id of the authorization, if there is one.
    pub provider_id: Option<String>,
    /// The price.
    pub price: Money,
}

/// The provider's answer to an authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// The money is reserved. The text is the id of the authorization.
    Approved(String),
    /// The card is declined: the code, and the message for the buyer.
    Declined(String, String),
    /// The request is invalid, for this reason.
    Invalid(String),
}

/// The attempt that serves a request to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenAttempt {
    /// A new attempt.
    New(Attempt),
    /// An earlier attempt with the same card, which is still open.
    Existing(Attempt),
    /// An earlier attempt whose money is reserved. The order has not ended yet.
    Authorized(Attempt),
}

/// A call to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Reserve the money, or find out whether it is reserved.
    Authorize,
    /// Capture the money, because the order is complete.
    Capture,
    /// Void the authorization, because the order is cancelled.
    Void,
    /// Refund the money, because the order is cancelled.
    Refund,
}

impl Order {
    /// Checks whether the user may pay now with this card, and returns the
    /// attempt. `last` is the latest attempt of the order. `id` is the id for a
    /// new attempt.
    pub fn open_attempt(
        &self,
        user_id: &str,
        token: &str,
        last: Option<Attempt>,
        now_ms: i64,
        id: String,
    ) -> Result<OpenAttempt> {
        let terms = self.terms.as_ref().ok_or_else(Error::not_found)?;
        if terms.user_id != user_id {
            return Err(Error::not_authorized());
        }
        if self.status == OrderStatus::Cancelled {
            return Err(order_cancelled());
        }
        if self.status == OrderStatus::Complete {
            return Err(already_paid());
        }
        match last {
            Some(authorized) if authorized.state == AttemptState::Authorized => Ok(OpenAttempt::Authorized(authorized)),
            // It began in time, so it may still complete the order.
            Some(open) if open.state == AttemptState::Authorizing => match open.token.as_deref() == Some(token) {
                true => Ok(OpenAttempt::Existing(open)),
                false => Err(Error::bad_request("Another payment of this order is in progress")),
            },
            _ if now_ms >= terms.expires_at.0 => Err(Error::bad_request("The order has expired")),
            last => Ok(OpenAttempt::New(Attempt {
                id,
                version: 0,
                order_id: self.id.clone(),
                number: last.map_or(1, |attempt| attempt.number + 1),
                state: AttemptState::Authorizing,
                token: Some(token.to_owned()),
                provider_id: None,
                price: terms.price.clone(),
            })),
        }
    }

    /// The buyer and the seller, as far as the events have told.
    pub fn parties(&self) -> Parties {
        let named =
            |terms: &Terms| Parties { user_id: Some(terms.user_id.clone()), seller_id: terms.seller_id.clone() };
        self.terms.as_ref().map(named).unwrap_or_default()
    }
}

/// The error of a payment for an order that another payment has completed.
pub fn already_paid() -> Error {
    Error::bad_request("The order is already paid")
}

/// The error of a payment for a cancelled order.
pub fn order_cancelled() -> Error {
    Error::bad_request("Cannot pay for a cancelled order")
}

/// The error of a payment that the provider refuses as invalid. The reason begins
/// with the name of the argument that is to blame.
pub fn invalid_payment(reason: &str) -> Error {
    if reason.starts_with("amount:") || reason.starts_with("currency:") {
        Error::bad_request(
            "The price of this order cannot be charged to any card: the card provider does not take this amount",
        )
    } else {
        Error::field("token", "token must be the token of a card")
    }
}

impl Attempt {
    /// The idempotency key of the authorization. It contains the number of the
    /// attempt, so that the buyer can try a second card after a decline.
    pub fn idempotency_key(&self) -> String {
        format!("{}:{}", self.order_id, self.number)
    }

    /// The attempt after the provider's answer, or `None` if an answer is
    /// already recorded.
    pub fn with_authorization(&self, answer: &Authorization) -> Option<Self> {
        if self.state != AttemptState::Authorizing {
            return None;
        }
        let (state, provider_id) = match answer {
            Authorization::Approved(id) => (AttemptState::Authorized, Some(id.clone())),
            Authorization::Declined(..) => (AttemptState::Declined, None),
            Authorization::Invalid(_) => (AttemptState::Failed, None),
        };
        Some(Self { token: None, provider_id, ..self.with_state(state) })
    }

    /// The attempt in another state.
    pub fn with_state(&self, state: AttemptState) -> Self {
        Self { version: self.version + 1, state, ..self.clone() }
    }

    /// The next call to the provider, if the status of the order needs one.
    pub fn next_operation(&self, order_status: OrderStatus) -> Option<Operation> {
        match (self.state, order_status) {
            (AttemptState::Authorizing, _) => Some(Operation::Authorize),
            (AttemptState::Authorized, OrderStatus::Complete) => Some(Operation::Capture),
            (AttemptState::Authorized, OrderStatus::Cancelled) => Some(Operation::Void),
            (AttemptState::Captured, OrderStatus::Cancelled) => Some(Operation::Refund),
            _ => None,
        }
    }

    /// The event about the new attempt.
    pub fn pending_event(&self, parties: Parties) -> PaymentPending {
        PaymentPending {
            id: self.id.clone(),
            order_id: self.order_id.clone(),
            attempt: self.number,
            version: self.version,
            amount: Some(self.price.clone()),
            parties,
        }
    }
}

/// Checks the token of a card.
pub fn token(text: &str) -> Result<String, String> {
    let token = text.trim();
    if token.is_empty() || token.len() > 200 {
        Err("token must be the token of a card".to_owned())
    } else {
        Ok(token.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_000;

    fn order() -> Order {
        let (user_id, seller_id) = ("u".to_owned(), Some("s".to_owned()));
        let terms = Terms { user_id, seller_id, expires_at: Timestamp(NOW_MS + 1), price: Money::usd(1_999) };
        Order { id: "o".to_owned(), version: 0, status: OrderStatus::Created, terms: Some(terms) }
    }

    fn open_attempt(order: &Order, token: &str, last: Option<Attempt>) -> Result<OpenAttempt> {
        order.open_attempt("u", token, last, NOW_MS, "p".to_owned())
    }

    fn new_attempt(order: &Order, last: Option<Attempt>) -> Attempt {
        match open_attempt(order, "card", last).unwrap() {
            OpenAttempt::New(attempt) => attempt,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(result: Result<OpenAttempt>) -> (u16, String) {
        match result.unwrap_err() {
            Error::Refused { status, problems, .. } => (status, problems[0].message.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refused_payment_has_a_reason() {
        let other_user = order().open_attempt("v", "card", None, NOW_MS, "p".to_owned());
        assert_eq!(refusal(other_user).0, 401);
        let late = order().open_attempt("u", "card", None, NOW_MS + 1, "p".to_owned());
        assert_eq!(refusal(late), (400, "The order has expired".to_owned()));
        let cancelled = Order { status: OrderStatus::Cancelled, ..order() };
        assert_eq!(refusal(open_attempt(&cancelled, "card", None)).0, 400);
        let paid = Order { status: OrderStatus::Complete, ..order() };
        assert_eq!(refusal(open_attempt(&paid, "card", None)).1, "The order is already paid");
        let begun = new_attempt(&order(), None);
        let resumed = order().open_attempt("u", "card", Some(begun.clone()), NOW_MS + 1, "p".to_owned()).unwrap();
        assert_eq!(resumed, OpenAttempt::Existing(begun), "it began in time");
        let unknown = Order { terms: None, ..order() };
        assert_eq!(refusal(open_attempt(&unknown, "card", None)).0, 404);
    }

    #[test]
    fn the_event_about_an_attempt_names_the_parties_and_the_price() {
        let event = new_attempt(&order(), None).pending_event(order().parties());
        let parties = Parties { user_id: Some("u".to_owned()), seller_id: Some("s".to_owned()) };
        assert_eq!((event.parties, event.amount), (parties, Some(Money::usd(1_999))));
        assert_eq!(Order { terms: None, ..order() }.parties(), Parties::default());
    }

    #[test]
    fn a_second_card_has_a_key_of_its_own() {
        let first = new_attempt(&order(), None);
        let declined = first.with_authorization(&Authorization::Declined("c".to_owned(), "m".to_owned())).unwrap();
        assert_eq!((declined.state, declined.token.as_ref()), (AttemptState::Declined, None));
        let second = new_attempt(&order(), Some(declined));
        assert_eq!((first.idempotency_key().as_str(), second.idempotency_key().as_str()), ("o:1", "o:2"));
    }

    #[test]
    fn an_open_attempt_is_resumed_with_its_own_card_only() {
        let open = new_attempt(&order(), None);
        assert_eq!(open_attempt(&order(), "card", Some(open.clone())).unwrap(), OpenAttempt::Existing(open.clone()));
        assert_eq!(refusal(open_attempt(&order(), "other", Some(open.clone()))).0, 400);
        let paid = open.with_authorization(&Authorization::Approved("a".to_owned())).unwrap();
        let authorized = open_attempt(&order(), "any", Some(paid.clone())).unwrap();
        assert_eq!(authorized, OpenAttempt::Authorized(paid.clone()), "the order has not ended");
        let complete = Order { status: OrderStatus::Complete, ..order() };
        assert_eq!(refusal(open_attempt(&complete, "card", Some(paid))).1, "The order is already paid");
    }

    #[test]
    fn an_answer_is_recorded_once() {
        let approved = Authorization::Approved("a".to_owned());
        let attempt = new_attempt(&order(), None).with_authorization(&approved).unwrap();
        assert_eq!((attempt.version, attempt.state), (1, AttemptState::Authorized));
        assert_eq!(attempt.with_authorization(&approved), None);
    }

    #[test]
    fn the_next_operation_follows_the_order() {
        let open = new_attempt(&order(), None);
        let authorized = open.with_authorization(&Authorization::Approved("a".to_owned())).unwrap();
        assert_eq!(open.next_operation(OrderStatus::Cancelled), Some(Operation::Authorize));
        assert_eq!(authorized.next_operation(OrderStatus::Created), None);
        assert_eq!(authorized.next_operation(OrderStatus::Complete), Some(Operation::Capture));
        assert_eq!(authorized.next_operation(OrderStatus::Cancelled), Some(Operation::Void));
        assert_eq!(
            authorized.with_state(AttemptState::Captured).next_operation(OrderStatus::Cancelled),
            Some(Operation::Refund)
        );
        assert_eq!(authorized.with_state(AttemptState::Voided).next_operation(OrderStatus::Cancelled), None);
    }

    #[test]
    fn the_amount_is_blamed_for_a_charge_that_no_card_can_pay() {
        let refusal = |reason| match invalid_payment(reason) {
            Error::Refused { status: 400, problems, .. } => problems[0].clone(),
            other => panic!("{other:?}"),
        };
        for reason in ["amount: at least 50 minor units of usd", "currency: three lower-case letters"] {
            let problem = refusal(reason);
            assert_eq!(problem.field, None, "{reason}");
            assert!(problem.message.contains("amount"), "{problem:?}");
        }
        for reason in ["no such token", "token: at most 200 bytes", "the amount is fine", ""] {
            assert_eq!(refusal(reason).field.as_deref(), Some("token"), "{reason}");
        }
    }

    #[test]
    fn states_are_stored_under_their_names() {
        for (state, text) in AttemptState::ALL {
            assert_eq!((state.as_str(), AttemptState::parse(text)), (text, Some(state)));
        }
    }
}
