//! The HTTP routes of payments.

use ::events::OrderStatus;
use serde::Serialize;
use ticketing_sdk::signals::Listener;
use ticketing_sdk::store::{Snapshot, transact};
use ticketing_sdk::{Error, Request, Response, Result, Router, id, now_ms};

use crate::domain::{self, Attempt, Authorization, OpenAttempt};
use crate::events::order_end_topic;
use crate::status::PaymentStatus;
use crate::store::AttemptWithOrder;
use crate::{provider, reconcile, store};

/// The longest wait of a request for the end of its order.
const WAIT_MS: i64 = 2_000;

/// The routes of the component.
pub(crate) const ROUTES: Router =
    Router::new(&[("POST", "/api/payments", pay_repeatably), ("GET", "/api/payments/{id}", show)]);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<PaymentStatus>,
}

/// An order has one attempt at a time. A request that is repeated after a failure goes
/// on with that attempt, so it charges nobody twice.
fn pay_repeatably(request: &Request) -> Result<Response> {
    pay(request).or_else(|error| Ok(Response::from(error).repeatable()))
}

/// Authorizes the charge between two transactions. The first one stores the
/// attempt, so that no other request starts one, and sets a timer in case this
/// request does not finish. The second one records the provider's answer. The
/// response waits for the end of the order, because only that says whether the
/// buyer has the ticket.
fn pay(request: &Request) -> Result<Response> {
    let buyer = request.signed_in()?;
    let mut fields = request.fields()?;
    let order_id = fields.text("orderId", |text| Ok(text.to_owned()));
    let token = fields.text("token", domain::token);
    let (Some(order_id), Some(token)) = (order_id, token) else {
        return Err(fields.into_error());
    };

    let opened = open_attempt(&order_id, &buyer.id, &token)?;
    let listener = Listener::to(&order_end_topic(&order_id))?;
    let attempt = match opened {
        OpenAttempt::Authorized(attempt) => return second_answer(&attempt, &listener),
        OpenAttempt::New(attempt) | OpenAttempt::Existing(attempt) => attempt,
    };
    let answer = provider::authorize(&attempt)?;
    let order_status = transact(|tx| reconcile::record_authorization(tx, &attempt.id, &answer))?;
    match answer {
        Authorization::Approved(_) if order_status == OrderStatus::Cancelled => Err(domain::order_cancelled()),
        Authorization::Approved(_) => first_answer(&attempt, &listener),
        Authorization::Declined(_, message) => Err(Error::refused(402, message)),
        Authorization::Invalid(reason) => Err(domain::invalid_payment(&reason)),
    }
}

/// The answer to the request that has reserved the money.
fn first_answer(attempt: &Attempt, listener: &Listener) -> Result<Response> {
    match listener.wait_until(WAIT_MS, || end_of(attempt))? {
        Some(PaymentStatus::Complete) => Response::json(201, &Body { id: &attempt.id, order_id: None, status: None }),
        Some(_) => Err(domain::order_cancelled()),
        None => pending(attempt),
    }
}

/// The answer to a request that comes after the money was reserved.
fn second_answer(attempt: &Attempt, listener: &Listener) -> Result<Response> {
    let end = match end_of(attempt)? {
        None => listener.wait_until(WAIT_MS, || end_of(attempt))?,
        end => end,
    };
    match end {
        Some(PaymentStatus::Complete) => Err(domain::already_paid()),
        Some(_) => Err(domain::order_cancelled()),
        None => pending(attempt),
    }
}

/// How the payment has ended, if it has.
fn end_of(attempt: &Attempt) -> Result<Option<PaymentStatus>> {
    let Some(AttemptWithOrder { attempt, order_status, .. }) = store::find_attempt(&Snapshot, &attempt.id)? else {
        return Err(Error::Internal(format!("the payment {} is missing", attempt.id)));
    };
    let status = PaymentStatus::of(&attempt, order_status.unwrap_or(OrderStatus::Created));
    Ok((status != PaymentStatus::Pending).then_some(status))
}

fn pending(attempt: &Attempt) -> Result<Response> {
    let body = Body { id: &attempt.id, order_id: None, status: Some(PaymentStatus::Pending) };
    Ok(Response::json(202, &body)?.header("location", format!("/api/payments/{}", attempt.id)))
}

fn show(request: &Request) -> Result<Response> {
    let buyer = request.signed_in()?;
    let AttemptWithOrder { attempt, .. } =
        store::find_attempt(&Snapshot, request.id_param("id")?)?.ok_or_else(Error::not_found)?;
    let order = store::find_order(&Snapshot, &attempt.order_id)?.ok_or_else(Error::not_found)?;
    if order.terms.is_none_or(|terms| terms.user_id != buyer.id) {
        return Err(Error::not_authorized());
    }
    let status = Some(PaymentStatus::of(&attempt, order.status));
    Response::json(200, &Body { id: &attempt.id, order_id: Some(&attempt.order_id), status })
}

fn open_attempt(order_id: &str, user_id: &str, token: &str) -> Result<OpenAttempt> {
    let not_found = || Error::copy_not_found(order_id);
    // The event about a new order may still be under way. This query holds no
    // write lock, so an early request does not delay the event's handler.
    store::find_order(&Snapshot, order_id)?.ok_or_else(not_found)?;
    transact(|tx| {
        let order = store::find_order(tx, order_id)?.ok_or_else(not_found)?;
        let last = store::last_attempt(tx, order_id)?;
        let opened = order.open_attempt(user_id, token, last, now_ms(), id::new())?;
        if let OpenAttempt::New(attempt) = &opened {
            store::insert_attempt(tx, attempt)?;
            reconcile::schedule_recovery(tx, attempt)?;
            tx.publish(&attempt.pending_event(order.parties()))?;
        }
        Ok(opened)
    })
}
