//! Reconciles an attempt with its order: a timer makes the calls to the provider
//! that the status of the order needs, one at a time. The timer is set again
//! until the provider has answered.
//!
//! The call comes before the first use of the timer's transaction, so no other
//! transaction waits for the provider. One commit removes the timer and records
//! the answer.

use ::events::{OrderStatus, Parties, PaymentCreated, PaymentDeclined, PaymentRefunded, PaymentVoided};
use serde::{Deserialize, Serialize};
use ticketing_sdk::messaging::{self, Disposition, Handled};
use ticketing_sdk::store::{Snapshot, Timer, Tx};
use ticketing_sdk::{Error, Result, log, now_ms};

use crate::domain::{Attempt, AttemptState, Authorization};
use crate::provider::{self, Answer};
use crate::store::{self, AttemptWithOrder};

/// The time that a request has before the timer takes over.
const RECOVERY_AFTER_MS: i64 = 5_000;
const FIRST_RETRY_DELAY_MS: i64 = 500;
const MAX_RETRY_DELAY_MS: i64 = 60_000;

/// The payload of the timer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimerPayload {
    payment_id: String,
    /// The number of calls that the provider has not answered.
    tries: u32,
}

/// Makes the next call to the provider for the timer's attempt.
pub(crate) fn on_timer(timer: Timer, _attempt: u32, tx: &Tx<'_>) -> Handled {
    let TimerPayload { payment_id, tries } = messaging::read(&timer.payload)?;
    let Some(AttemptWithOrder { attempt, order_status, parties }) = store::find_attempt(&Snapshot, &payment_id)? else {
        return Err(Disposition::Reject(format!("the payment {payment_id} does not exist")));
    };
    let Some(operation) = attempt.next_operation(order_status.unwrap_or(OrderStatus::Created)) else {
        return Ok(());
    };
    match provider::perform(&attempt, operation) {
        Err(Error::Unavailable(detail)) => {
            log::warn("payment", format_args!("the provider does not answer about payment {}: {detail}", attempt.id));
            let delay_ms = (FIRST_RETRY_DELAY_MS << tries.min(7)).min(MAX_RETRY_DELAY_MS);
            Ok(schedule(tx, &attempt, now_ms() + delay_ms, tries.saturating_add(1))?)
        }
        answer => Ok(record(tx, &attempt, parties, answer?)?),
    }
}

/// Sets the timer for the case that a request does not finish.
pub(crate) fn schedule_recovery(tx: &Tx<'_>, attempt: &Attempt) -> Result<()> {
    schedule(tx, attempt, now_ms() + RECOVERY_AFTER_MS, 0)
}

/// Sets the timer to fire as soon as the transaction is committed.
pub(crate) fn schedule_now(tx: &Tx<'_>, attempt: &Attempt) -> Result<()> {
    schedule(tx, attempt, 0, 0)
}

/// Records the answer to an authorization and publishes the event, unless an
/// answer is already recorded. Returns the status of the order.
pub(crate) fn record_authorization(tx: &Tx<'_>, attempt_id: &str, answer: &Authorization) -> Result<OrderStatus> {
    let missing = || Error::Internal(format!("payment {attempt_id} or its order is missing"));
    let AttemptWithOrder { attempt, order_status, parties } =
        store::find_attempt(tx, attempt_id)?.ok_or_else(missing)?;
    let order_status = order_status.ok_or_else(missing)?;
    let Some(attempt) = attempt.with_authorization(answer) else {
        return Ok(order_status);
    };
    store::update_attempt(tx, &attempt)?;
    tx.cancel_timer(&timer_key(&attempt))?;
    match answer {
        // The order no longer needs the money, so the timer voids the authorization.
        Authorization::Approved(_) if order_status == OrderStatus::Cancelled => schedule_now(tx, &attempt)?,
        Authorization::Approved(provider_id) => tx.publish(&PaymentCreated {
            id: attempt.id,
            order_id: attempt.order_id,
            provider_id: provider_id.clone(),
            amount: attempt.price,
            parties,
        })?,
        Authorization::Declined(code, _) => publish_declined(tx, attempt, parties, code)?,
        Authorization::Invalid(reason) => {
            log::warn("payment", format_args!("the provider refuses payment {} as invalid: {reason}", attempt.id));
            publish_declined(tx, attempt, parties, "invalid")?;
        }
    }
    Ok(order_status)
}

fn publish_declined(tx: &Tx<'_>, attempt: Attempt, parties: Parties, code: &str) -> Result<()> {
    tx.publish(&PaymentDeclined {
        id: attempt.id,
        order_id: attempt.order_id,
        attempt: attempt.number,
        code: code.to_owned(),
        amount: Some(attempt.price),
        parties,
    })
}

/// Records an answer and publishes the event. An operator must look at an attempt
/// that the provider refuses to bring into its state.
fn record(tx: &Tx<'_>, attempt: &Attempt, parties: Parties, answer: Answer) -> Result<()> {
    let state = match answer {
        Answer::Authorization(answer) => return record_authorization(tx, &attempt.id, &answer).map(drop),
        Answer::Done(state) => state,
        Answer::Refused { state, reason } => {
            log::error("payment", format_args!("payment {} cannot become {}: {reason}", attempt.id, state.as_str()));
            return store::update_attempt(tx, &attempt.with_state(AttemptState::Failed));
        }
    };
    store::update_attempt(tx, &attempt.with_state(state))?;
    let (id, order_id, reason) = (attempt.id.clone(), attempt.order_id.clone(), "order cancelled".to_owned());
    let amount = Some(attempt.price.clone());
    match state {
        AttemptState::Voided => tx.publish(&PaymentVoided { id, order_id, reason, amount, parties }),
        AttemptState::Refunded => tx.publish(&PaymentRefunded { id, order_id, reason, amount, parties }),
        _ => Ok(()),
    }
}

fn schedule(tx: &Tx<'_>, attempt: &Attempt, due_ms: i64, tries: u32) -> Result<()> {
    let payload = TimerPayload { payment_id: attempt.id.clone(), tries };
    tx.schedule(&timer_key(attempt), u64::try_from(due_ms).unwrap_or(0), &payload)
}

/// The key of the attempt's timer. Stored timers have it, so it must not change.
fn timer_key(attempt: &Attempt) -> String {
    format!("settle:{}", attempt.id)
}
