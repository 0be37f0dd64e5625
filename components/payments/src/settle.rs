//! Bringing an attempt to where its order wants it, one call to the provider
//! at a time, from a timer that is set again until the provider has answered.
//!
//! The call is made before the timer's transaction is used for the first time,
//! so nobody waits for the provider. The timer is gone with the record of the
//! answer, not before. Every call has a key, so one that is repeated, because
//! its answer was not recorded, does nothing more.

use ::events::{OrderStatus, PaymentCreated, PaymentDeclined, PaymentRefunded, PaymentVoided};
use serde::{Deserialize, Serialize};
use ticketing_sdk::capability::payments::{self, Error as Provider, Money as ProviderMoney};
use ticketing_sdk::messaging::{Disposition, Handled};
use ticketing_sdk::store::{Snapshot, Timer, Tx};
use ticketing_sdk::{Error, Result, log, now_ms};

use crate::domain::{Attempt, Authorization, Next, State};
use crate::store::{self, Charge};

/// How long a request is given before the timer takes over.
const RECOVERY_AFTER_MS: i64 = 5_000;
const FIRST_PAUSE_MS: i64 = 500;
const MAX_PAUSE_MS: i64 = 60_000;

/// What the timer carries.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settlement {
    payment_id: String,
    /// Calls that the provider has left unanswered.
    tries: u32,
}

/// Sees to the attempt that the timer was set for.
pub(crate) fn on_timer(timer: Timer, _attempt: u32, tx: &Tx<'_>) -> Handled {
    let settlement: Settlement =
        serde_json::from_slice(&timer.payload).map_err(|error| Disposition::Reject(error.to_string()))?;
    let Some(Charge { attempt, order }) = store::charge(&Snapshot, &settlement.payment_id)? else {
        return Err(Disposition::Reject(format!("no payment {}", settlement.payment_id)));
    };
    let next = attempt.next(order.unwrap_or(OrderStatus::Created));
    match ask(&attempt, next) {
        Err(Error::Unavailable(detail)) => {
            log::warn("payment", &format!("{}: the provider does not answer: {detail}", attempt.id));
            let pause = FIRST_PAUSE_MS << settlement.tries.min(7);
            let due = now_ms() + pause.min(MAX_PAUSE_MS);
            Ok(schedule(tx, &attempt, due, settlement.tries.saturating_add(1))?)
        }
        answer => Ok(note(tx, &attempt, answer?)?),
    }
}

/// Takes over from a request that does not come to its end.
pub(crate) fn later(tx: &Tx<'_>, attempt: &Attempt) -> Result<()> {
    schedule(tx, attempt, now_ms() + RECOVERY_AFTER_MS, 0)
}

/// Sees to the attempt as soon as the transaction is committed.
pub(crate) fn now(tx: &Tx<'_>, attempt: &Attempt) -> Result<()> {
    schedule(tx, attempt, 0, 0)
}

/// Asks the provider to reserve the money. A repeated call has the first
/// one's outcome.
pub(crate) fn authorize(attempt: &Attempt) -> Result<Authorization> {
    let token = attempt.token.as_deref().unwrap_or_default();
    let money = ProviderMoney {
        amount: u64::try_from(attempt.price.amount).map_err(|error| Error::Internal(error.to_string()))?,
        currency: attempt.price.currency.clone(),
    };
    match payments::authorize(&attempt.key(), &money, token) {
        Ok(id) => Ok(Authorization::Approved(id)),
        Err(Provider::Declined(decline)) => Ok(Authorization::Declined(decline.code, decline.message)),
        Err(Provider::Invalid(why)) => Ok(Authorization::Invalid(why)),
        Err(Provider::Unavailable(detail)) => Err(Error::Unavailable(detail)),
    }
}

/// Keeps the provider's answer, unless it is known, and says it. Returns where
/// the order stands.
pub(crate) fn record(tx: &Tx<'_>, attempt_id: &str, answer: &Authorization) -> Result<OrderStatus> {
    let missing = || Error::Internal(format!("payment {attempt_id} or its order is missing"));
    let Charge { attempt: known, order } = store::charge(tx, attempt_id)?.ok_or_else(missing)?;
    let order = order.ok_or_else(missing)?;
    let Some(attempt) = known.authorized(answer) else {
        return Ok(order);
    };
    store::update_attempt(tx, &attempt)?;
    tx.cancel_timer(&key(&attempt))?;
    match answer {
        // Nobody needs the money any more: it goes back where it was.
        Authorization::Approved(_) if order == OrderStatus::Cancelled => now(tx, &attempt)?,
        Authorization::Approved(provider_id) => tx.publish(&PaymentCreated {
            id: attempt.id,
            order_id: attempt.order_id,
            provider_id: provider_id.clone(),
            amount: attempt.price,
        })?,
        Authorization::Declined(code, _) => declined(tx, attempt, code)?,
        Authorization::Invalid(why) => {
            log::warn("payment", &format!("{}: {why}", attempt.id));
            declined(tx, attempt, "invalid")?;
        }
    }
    Ok(order)
}

fn declined(tx: &Tx<'_>, attempt: Attempt, code: &str) -> Result<()> {
    tx.publish(&PaymentDeclined {
        id: attempt.id,
        order_id: attempt.order_id,
        attempt: attempt.number,
        code: code.to_owned(),
    })
}

/// What the provider said.
enum Answer {
    /// Nothing: it was not asked.
    None,
    Authorization(Authorization),
    /// The attempt is now in this state, or cannot be, for this reason.
    Settled(State, Option<String>),
}

/// Makes the call that is next.
fn ask(attempt: &Attempt, next: Next) -> Result<Answer> {
    let authorization = attempt.provider_id.as_deref().unwrap_or_default();
    let key = |operation: &str| format!("{}:{operation}", attempt.key());
    match next {
        Next::Rest => Ok(Answer::None),
        Next::Authorize => authorize(attempt).map(Answer::Authorization),
        Next::Capture => settled(State::Captured, payments::capture(&key("capture"), authorization)),
        Next::Void => settled(State::Voided, payments::void(&key("void"), authorization)),
        Next::Refund => settled(State::Refunded, payments::refund(&key("refund"), authorization)),
    }
}

fn settled(state: State, answer: Result<(), Provider>) -> Result<Answer> {
    match answer {
        Ok(()) => Ok(Answer::Settled(state, None)),
        Err(Provider::Unavailable(detail)) => Err(Error::Unavailable(detail)),
        Err(Provider::Invalid(why)) => Ok(Answer::Settled(state, Some(why))),
        Err(Provider::Declined(decline)) => Ok(Answer::Settled(state, Some(decline.message))),
    }
}

/// Keeps what the provider said, and says it. What it refuses for good is for
/// somebody to look at.
fn note(tx: &Tx<'_>, attempt: &Attempt, answer: Answer) -> Result<()> {
    let (state, refusal) = match answer {
        Answer::None => return Ok(()),
        Answer::Authorization(answer) => return record(tx, &attempt.id, &answer).map(drop),
        Answer::Settled(state, refusal) => (state, refusal),
    };
    if let Some(why) = refusal {
        log::error("payment", &format!("{} cannot become {}: {why}", attempt.id, state.as_str()));
        return store::update_attempt(tx, &attempt.at(State::Failed));
    }
    store::update_attempt(tx, &attempt.at(state))?;
    let (id, order_id, reason) = (attempt.id.clone(), attempt.order_id.clone(), "order cancelled".to_owned());
    match state {
        State::Voided => tx.publish(&PaymentVoided { id, order_id, reason }),
        State::Refunded => tx.publish(&PaymentRefunded { id, order_id, reason }),
        _ => Ok(()),
    }
}

fn schedule(tx: &Tx<'_>, attempt: &Attempt, due_ms: i64, tries: u32) -> Result<()> {
    let settlement = Settlement { payment_id: attempt.id.clone(), tries };
    tx.schedule(&key(attempt), u64::try_from(due_ms).unwrap_or(0), &settlement)
}

fn key(attempt: &Attempt) -> String {
    format!("settle:{}", attempt.id)
}
