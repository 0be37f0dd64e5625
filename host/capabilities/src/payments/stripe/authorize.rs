//! The steps of an authorization: create a payment, record it, and confirm it.

use super::{
    CallError, Stripe,
    api::{ApiError, CallAttempt, Card},
    intent_status::{self, AuthorizationStatus},
};
use crate::payments::operation::Outcome;
use stripe_shared::PaymentIntent;

impl Stripe {
    /// Authorizes a charge. `intent` is the payment of an earlier attempt.
    pub(super) async fn authorize(
        &self,
        amount: u64,
        currency: &str,
        token: &str,
        attempt: CallAttempt<'_>,
        intent: Option<&str>,
    ) -> Result<Outcome, CallError> {
        let Some(card) = Card::from_name(token) else {
            return Ok(Outcome::invalid("no such token"));
        };
        let Some(id) = intent else {
            return match self.api.create(attempt, amount, currency).await {
                Ok(intent) => {
                    let id = self.calls.record_intent(attempt.key, intent.id.as_str()).await?;
                    self.confirm(attempt, &id, card).await
                }
                Err(ApiError::Invalid(reason)) => Ok(Outcome::Invalid { reason }),
                Err(error) => Err(CallError::without_outcome(error)),
            };
        };
        let intent = self.api.intent(id).await.map_err(CallError::without_outcome)?;
        match self.outcome_of(&intent, attempt).await? {
            Some(outcome) => Ok(outcome),
            None => self.confirm(attempt, id, card).await,
        }
    }

    async fn confirm(&self, attempt: CallAttempt<'_>, id: &str, card: Card<'_>) -> Result<Outcome, CallError> {
        let intent = match self.api.confirm(attempt, id, card).await {
            Ok(intent) => intent,
            Err(ApiError::Declined(decline)) => return Ok(decline.into()),
            Err(ApiError::Invalid(reason)) => return Ok(Outcome::Invalid { reason }),
            // Another host has confirmed it first.
            Err(ApiError::UnexpectedState(_)) => self.api.intent(id).await.map_err(CallError::without_outcome)?,
            Err(error) => return Err(CallError::without_outcome(error)),
        };
        match self.outcome_of(&intent, attempt).await? {
            Some(outcome) => Ok(outcome),
            None => Err(CallError::unknown("Stripe has confirmed a payment, but has not tried its card")),
        }
    }

    /// The outcome of an authorization. `None` if Stripe has not tried a card yet.
    async fn outcome_of(&self, intent: &PaymentIntent, attempt: CallAttempt<'_>) -> Result<Option<Outcome>, CallError> {
        Ok(match intent_status::authorization(intent) {
            AuthorizationStatus::Authorized => Some(Outcome::Done { id: Some(intent.id.to_string()) }),
            AuthorizationStatus::Declined(decline) => Some(decline.into()),
            AuthorizationStatus::NotTried => None,
            AuthorizationStatus::Processing => return Err(CallError::processing()),
            AuthorizationStatus::AuthenticationRequired => {
                let reason = Some(intent_status::AUTHENTICATION_CANCELLED);
                let cancelled = self.api.cancel(attempt, intent.id.as_str(), reason);
                cancelled.await.map_err(CallError::without_outcome)?;
                Some(intent_status::authentication_required().into())
            }
        })
    }
}
