//! Stripe: an authorization is a payment intent that is captured by hand.
//!
//! Money moves once for a key, for ever, by three things, the first of which
//! would do:
//!
//! - **Stripe's states.** A payment is made first, which reserves nothing; its
//!   id is kept; and then it is confirmed. It can be confirmed, captured,
//!   cancelled and refunded in full once each, whoever asks. Where a call may
//!   have been made before, its payment is looked at (`standing.rs`).
//! - **The host's record** (`calls.rs`): outcomes, for ever, and which calls
//!   have none yet.
//! - **Idempotency keys**: what is repeated within their time has the first
//!   answer. Stripe forgets them after a day, and keeps failures of its own
//!   under them until then; so one that has failed is replaced by another, and
//!   that is safe because of the first two.
//!
//! A payment that was made, and whose id got lost on the way, stays
//! unconfirmed at Stripe and holds no money; another is made in its place.
//!
//! Nothing is repeated here: who gets [`Error::Unavailable`] asks again. A key
//! that Stripe does not accept is such a case too, with an error in the log:
//! nothing is lost, and all goes on with a better one.
//!
//! The ledger is the host's record: what was done by calls, at once and
//! without Stripe. What people do in the dashboard is not in it.

mod api;
mod calls;
mod intent_status;
mod keyed_mutex;

use super::{
    Decline, Error, LedgerEntry, OpenError, Settlement,
    record::{Failure, Made, Operation, Outcome, Perform},
};
use api::{Api, Card, KEY, Refusal, Try, Unanswered};
use async_trait::async_trait;
use calls::{Begun, Calls, Open};
use host_database::HostDatabase;
use intent_status::{Authorized, Settled};
use keyed_mutex::Turns;
use stripe_shared::{PaymentIntent, PaymentIntentStatus};

/// The provider. It lives as long as the host; its record outlives it.
#[derive(Debug, Clone)]
pub struct Stripe {
    api: Api,
    calls: Calls,
    turns: Turns,
}

/// What ends a call without an outcome.
enum Stop {
    Unanswered(Unanswered),
    Error(Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Error(failure.into())
    }
}

impl Stripe {
    /// Opens the record in a database of its own, or in the one that the hosts
    /// share. Stripe is not asked.
    ///
    /// # Errors
    /// When its tables or its client cannot be made.
    pub async fn open(
        database: HostDatabase,
        settings: &host_config::payments::StripeConfig,
    ) -> Result<Self, OpenError> {
        let api = Api::new(settings).map_err(|error| OpenError::Client(error.to_string()))?;
        Ok(Self { api, calls: Calls::open(database).await?, turns: Turns::default() })
    }

    async fn decide(&self, key: &str, operation: &Operation, open: &Open) -> Result<Outcome, Stop> {
        let one = Try { key, number: open.tries };
        if let Some((settlement, authorization)) = operation.settlement() {
            return self.settle(settlement, authorization, one, open.is_repeated).await;
        }
        let Operation::Authorize { amount, currency, token } = operation else {
            return Ok(Outcome::invalid("no such operation"));
        };
        let Some(card) = Card::named(token) else {
            return Ok(Outcome::invalid("no such token"));
        };
        let id = match &open.intent {
            Some(id) => {
                let intent = self.api.intent(id).await.map_err(lost)?;
                if let Some(outcome) = self.judged(&intent, one).await? {
                    return Ok(outcome);
                }
                id.clone()
            }
            None => match self.api.create(one, *amount, currency).await {
                Ok(intent) => self.calls.keep_intent(key, intent.id.as_str()).await?,
                Err(Refusal::Invalid(reason)) => return Ok(Outcome::Invalid { reason }),
                Err(refusal) => return Err(lost(refusal)),
            },
        };
        self.confirm(one, &id, card).await
    }

    async fn confirm(&self, one: Try<'_>, id: &str, card: Card<'_>) -> Result<Outcome, Stop> {
        let intent = match self.api.confirm(one, id, card).await {
            Ok(intent) => intent,
            Err(Refusal::Declined(decline)) => return Ok(declined(decline)),
            Err(Refusal::Invalid(reason)) => return Ok(Outcome::Invalid { reason }),
            // Somebody else was faster.
            Err(Refusal::State(_)) => self.api.intent(id).await.map_err(lost)?,
            Err(refusal) => return Err(lost(refusal)),
        };
        match self.judged(&intent, one).await? {
            Some(outcome) => Ok(outcome),
            None => Err(unknown("Stripe has confirmed a payment and not tried its card")),
        }
    }

    /// What an authorization has come to; none if no card was tried.
    async fn judged(&self, intent: &PaymentIntent, one: Try<'_>) -> Result<Option<Outcome>, Stop> {
        Ok(match intent_status::authorized(intent) {
            Authorized::Yes => Some(Outcome::Done { id: Some(intent.id.to_string()) }),
            Authorized::No(decline) => Some(declined(decline)),
            Authorized::Untried => None,
            Authorized::UnderWay => return Err(unknown("Stripe is at work")),
            Authorized::Asks => {
                let cancelled = self.api.cancel(one, intent.id.as_str(), Some(intent_status::UNASKED));
                cancelled.await.map_err(lost)?;
                Some(declined(intent_status::unasked()))
            }
        })
    }

    async fn settle(
        &self,
        settlement: Settlement,
        authorization: &str,
        one: Try<'_>,
        is_repeated: bool,
    ) -> Result<Outcome, Stop> {
        let is_id = authorization.starts_with("pi_")
            && authorization.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_id || !self.is_of_this_host(authorization).await? {
            return Ok(Outcome::invalid("no such authorization"));
        }
        // A refund of what was not captured is for nobody to try.
        if is_repeated || matches!(settlement, Settlement::Refund) {
            let settled = self.look(settlement, authorization, one, is_repeated).await?;
            if let Some(outcome) = settled_as(settled)? {
                return Ok(outcome);
            }
        }
        let done = match settlement {
            Settlement::Capture => self.api.capture(one, authorization).await.map(drop),
            Settlement::Void => self.api.cancel(one, authorization, None).await.map(drop),
            Settlement::Refund => self.api.refund(one, authorization).await.map(drop),
        };
        let reason = match done {
            Ok(()) => return Ok(Outcome::Done { id: None }),
            Err(Refusal::State(reason) | Refusal::Invalid(reason)) => reason,
            Err(Refusal::Declined(decline)) => return Ok(declined(decline)),
            Err(refusal) => return Err(lost(refusal)),
        };
        let settled = self.look(settlement, authorization, one, is_repeated).await?;
        Ok(settled_as(settled)?.unwrap_or(Outcome::Invalid { reason }))
    }

    /// Looks at Stripe where a settlement stands.
    async fn look(&self, settlement: Settlement, id: &str, one: Try<'_>, is_repeated: bool) -> Result<Settled, Stop> {
        let intent = self.api.intent(id).await.map_err(lost)?;
        let refunds = match settlement {
            Settlement::Refund => self.api.refunds(id).await.map_err(lost)?,
            Settlement::Capture | Settlement::Void => Vec::new(),
        };
        Ok(intent_status::settled(settlement, one.key, is_repeated, &intent, &refunds))
    }

    /// Whether the payment was made by a call to a host, and not by another
    /// program that has the same account. One that the record has lost (it may
    /// be an older copy) bears the key of its call at Stripe.
    async fn is_of_this_host(&self, id: &str) -> Result<bool, Stop> {
        if self.calls.knows(id).await? {
            return Ok(true);
        }
        let intent = match self.api.intent(id).await {
            Ok(intent) => intent,
            Err(Refusal::Missing) => return Ok(false),
            Err(refusal) => return Err(lost(refusal)),
        };
        let Some(key) = intent.metadata.get(KEY) else {
            return Ok(false);
        };
        if matches!(intent_status::authorized(&intent), Authorized::Yes) {
            let (currency, amount) = (intent.currency.to_string(), intent.amount);
            let is_captured = intent.status == PaymentIntentStatus::Succeeded;
            self.calls.adopt(Made { id, key, currency: &currency, amount }, is_captured).await?;
        }
        Ok(true)
    }
}

#[async_trait]
impl Perform for Stripe {
    async fn perform(&self, key: &str, operation: Operation) -> Result<Option<String>, Error> {
        let _turn = self.turns.take(key).await;
        let open = match self.calls.begin(key, &operation).await? {
            Begun::Known(outcome) => return outcome.into_result(),
            Begun::Open(open) => open,
        };
        match self.decide(key, &operation, &open).await {
            Ok(outcome) => self.calls.finish(key, &operation, &outcome).await?.into_result(),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Unanswered(unanswered)) => {
                if unanswered.is_kept {
                    self.calls.give_up_try(key, open.tries).await?;
                }
                Err(Error::Unavailable(unanswered.detail))
            }
        }
    }

    async fn newest(&self, limit_rows: u32) -> Result<Vec<LedgerEntry>, Error> {
        self.calls.newest(limit_rows).await
    }
}

fn declined(decline: Decline) -> Outcome {
    Outcome::Declined { code: decline.code, message: decline.message }
}

fn settled_as(settled: Settled) -> Result<Option<Outcome>, Stop> {
    match settled {
        Settled::Yes => Ok(Some(Outcome::Done { id: None })),
        Settled::Open => Ok(None),
        Settled::Never(state) => Ok(Some(Outcome::invalid(format!("the authorization is {state}")))),
        Settled::UnderWay => Err(unknown("Stripe is at work")),
    }
}

fn unknown(detail: &str) -> Stop {
    Stop::Unanswered(Unanswered::new(detail))
}

/// A refusal where none is an answer to the call.
fn lost(refusal: Refusal) -> Stop {
    Stop::Unanswered(match refusal {
        Refusal::Unknown(unanswered) => unanswered,
        Refusal::Declined(decline) => Unanswered::new(decline.message),
        Refusal::State(reason) | Refusal::Invalid(reason) => Unanswered { detail: reason, is_kept: true },
        Refusal::Missing => {
            tracing::error!(
                "Stripe does not know a payment that was made there: STRIPE_KEY is of another account, or one of both modes for the other. Nothing is lost: payments go on with the right key"
            );
            Unanswered::new("Stripe does not know the payment")
        }
    })
}

#[cfg(test)]
mod tests;
