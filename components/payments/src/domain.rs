//! The life of an attempt to charge an order:
//!
//! ```text
//! authorizing -> authorized -> captured -> refunded
//!   |    |         |    |
//!   |    v         v    v
//!   |  declined  voided failed
//!   v
//! failed
//! ```

use ::events::{Money, OrderStatus};
use ticketing_sdk::{Error, Result, Timestamp};

/// What payments knows about an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The order.
    pub id: String,
    /// Its version, as far as the events have told.
    pub version: i64,
    /// `created`, `complete` or `cancelled`.
    pub status: OrderStatus,
    /// Unknown while only the order's end has arrived.
    pub terms: Option<Terms>,
}

/// Who pays how much until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The buyer.
    pub user_id: String,
    /// Until when the payment must be begun.
    pub expires_at: Timestamp,
    /// How much.
    pub price: Money,
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The provider is being asked, or its answer got lost.
    Authorizing,
    /// The money is reserved.
    Authorized,
    /// The card was refused.
    Declined,
    /// The provider found the request itself at fault.
    Failed,
    /// The money is taken.
    Captured,
    /// The reservation was let go.
    Voided,
    /// The money was given back.
    Refunded,
}

impl State {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Authorizing, "authorizing"),
        (Self::Authorized, "authorized"),
        (Self::Declined, "declined"),
        (Self::Failed, "failed"),
        (Self::Captured, "captured"),
        (Self::Voided, "voided"),
        (Self::Refunded, "refunded"),
    ];

    /// As the database keeps it.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("failed", |(_, text)| text)
    }

    /// The reverse of [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(state, _)| *state)
    }
}

/// An attempt to charge an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The payment's id for the outside.
    pub id: String,
    /// 0 when it is begun, then one more with each change.
    pub version: i64,
    /// The order to charge.
    pub order_id: String,
    /// 1 for the order's first, then one more with each.
    pub number: i64,
    /// Where it stands.
    pub state: State,
    /// The card; kept until the provider has answered.
    pub token: Option<String>,
    /// The provider's id of the authorization, once there is one.
    pub provider_id: Option<String>,
    /// How much.
    pub price: Money,
}

/// What the provider said to an authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// The money is reserved, under this id.
    Approved(String),
    /// The card was refused: a code, and a message for the buyer.
    Declined(String, String),
    /// The request cannot be made; why.
    Invalid(String),
}

/// How to go on with a request to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// With a new attempt.
    Start(Attempt),
    /// With the attempt that was left open, and the same card.
    Resume(Attempt),
}

/// What an attempt needs the provider for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing, as things stand.
    Rest,
    /// Find out whether the money is reserved.
    Authorize,
    /// Take the money: the order is complete.
    Capture,
    /// Let the money go: the order is cancelled.
    Void,
    /// Give the money back: the order is cancelled.
    Refund,
}

impl Order {
    /// Whether the user may pay it, now, with this card, and how to go on.
    /// `last` is the order's latest attempt, `id` that of a new one.
    pub fn begin(&self, user_id: &str, token: &str, last: Option<Attempt>, now_ms: i64, id: String) -> Result<Begin> {
        let terms = self.terms.as_ref().ok_or_else(Error::not_found)?;
        if terms.user_id != user_id {
            return Err(Error::not_authorized());
        }
        if self.status == OrderStatus::Cancelled {
            return Err(cancelled());
        }
        let state = last.as_ref().map(|attempt| attempt.state);
        if self.status == OrderStatus::Complete || matches!(state, Some(State::Authorized | State::Captured)) {
            return Err(Error::bad_request("The order is already paid"));
        }
        if now_ms >= terms.expires_at.0 {
            return Err(Error::bad_request("The order has expired"));
        }
        match last {
            Some(open) if open.state == State::Authorizing => {
                if open.token.as_deref() == Some(token) {
                    Ok(Begin::Resume(open))
                } else {
                    Err(Error::bad_request("Another payment of this order is in progress"))
                }
            }
            last => Ok(Begin::Start(Attempt {
                id,
                version: 0,
                order_id: self.id.clone(),
                number: last.map_or(1, |attempt| attempt.number + 1),
                state: State::Authorizing,
                token: Some(token.to_owned()),
                provider_id: None,
                price: terms.price.clone(),
            })),
        }
    }
}

/// The refusal of a payment whose order is over.
pub fn cancelled() -> Error {
    Error::bad_request("Cannot pay for a cancelled order")
}

impl Attempt {
    /// The idempotency key of its authorization. It names the attempt, so
    /// that a second card can be tried after the first was refused.
    pub fn key(&self) -> String {
        format!("{}:{}", self.order_id, self.number)
    }

    /// The attempt after the provider's answer, or nothing when it was known.
    pub fn authorized(&self, answer: &Authorization) -> Option<Self> {
        if self.state != State::Authorizing {
            return None;
        }
        let (state, provider_id) = match answer {
            Authorization::Approved(id) => (State::Authorized, Some(id.clone())),
            Authorization::Declined(..) => (State::Declined, None),
            Authorization::Invalid(_) => (State::Failed, None),
        };
        Some(Self { token: None, provider_id, ..self.at(state) })
    }

    /// The attempt in another state.
    pub fn at(&self, state: State) -> Self {
        Self { version: self.version + 1, state, ..self.clone() }
    }

    /// What it needs, given where its order stands.
    pub fn next(&self, order: OrderStatus) -> Next {
        match (self.state, order) {
            (State::Authorizing, _) => Next::Authorize,
            (State::Authorized, OrderStatus::Complete) => Next::Capture,
            (State::Authorized, OrderStatus::Cancelled) => Next::Void,
            (State::Captured, OrderStatus::Cancelled) => Next::Refund,
            _ => Next::Rest,
        }
    }
}

/// A card's token: some text, not too long to be one.
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
        let terms = Terms { user_id: "u".to_owned(), expires_at: Timestamp(NOW_MS + 1), price: Money::usd(1_999) };
        Order { id: "o".to_owned(), version: 0, status: OrderStatus::Created, terms: Some(terms) }
    }

    fn begin(order: &Order, token: &str, last: Option<Attempt>) -> Result<Begin> {
        order.begin("u", token, last, NOW_MS, "p".to_owned())
    }

    fn start(order: &Order, last: Option<Attempt>) -> Attempt {
        match begin(order, "card", last).unwrap() {
            Begin::Start(attempt) => attempt,
            Begin::Resume(_) => panic!("resumed"),
        }
    }

    fn refusal(outcome: Result<Begin>) -> (u16, String) {
        match outcome.unwrap_err() {
            Error::Refused { status, problems, .. } => (status, problems[0].message.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_may_not_pay_is_told_why() {
        let someone = order().begin("v", "card", None, NOW_MS, "p".to_owned());
        assert_eq!(refusal(someone).0, 401);
        let late = order().begin("u", "card", None, NOW_MS + 1, "p".to_owned());
        assert_eq!(refusal(late), (400, "The order has expired".to_owned()));
        let gone = Order { status: OrderStatus::Cancelled, ..order() };
        assert_eq!(refusal(begin(&gone, "card", None)).0, 400);
        let paid = Order { status: OrderStatus::Complete, ..order() };
        assert_eq!(refusal(begin(&paid, "card", None)).1, "The order is already paid");
        let unknown = Order { terms: None, ..order() };
        assert_eq!(refusal(begin(&unknown, "card", None)).0, 404);
    }

    #[test]
    fn a_second_card_has_a_key_of_its_own() {
        let first = start(&order(), None);
        let declined = first.authorized(&Authorization::Declined("c".to_owned(), "m".to_owned())).unwrap();
        assert_eq!((declined.state, declined.token.as_ref()), (State::Declined, None));
        let second = start(&order(), Some(declined));
        assert_eq!((first.key().as_str(), second.key().as_str()), ("o:1", "o:2"));
    }

    #[test]
    fn an_open_attempt_is_resumed_with_its_own_card_only() {
        let open = start(&order(), None);
        assert_eq!(begin(&order(), "card", Some(open.clone())).unwrap(), Begin::Resume(open.clone()));
        assert_eq!(refusal(begin(&order(), "other", Some(open.clone()))).0, 400);
        let paid = open.authorized(&Authorization::Approved("a".to_owned())).unwrap();
        assert_eq!(refusal(begin(&order(), "card", Some(paid))).1, "The order is already paid");
    }

    #[test]
    fn an_answer_counts_once() {
        let approved = Authorization::Approved("a".to_owned());
        let attempt = start(&order(), None).authorized(&approved).unwrap();
        assert_eq!((attempt.version, attempt.state), (1, State::Authorized));
        assert_eq!(attempt.authorized(&approved), None);
    }

    #[test]
    fn money_follows_the_order() {
        let open = start(&order(), None);
        let held = open.authorized(&Authorization::Approved("a".to_owned())).unwrap();
        assert_eq!(open.next(OrderStatus::Cancelled), Next::Authorize);
        assert_eq!(held.next(OrderStatus::Created), Next::Rest);
        assert_eq!(held.next(OrderStatus::Complete), Next::Capture);
        assert_eq!(held.next(OrderStatus::Cancelled), Next::Void);
        assert_eq!(held.at(State::Captured).next(OrderStatus::Cancelled), Next::Refund);
        assert_eq!(held.at(State::Voided).next(OrderStatus::Cancelled), Next::Rest);
    }

    #[test]
    fn states_are_kept_under_their_names() {
        for (state, text) in State::ALL {
            assert_eq!((state.as_str(), State::parse(text)), (text, Some(state)));
        }
    }
}
