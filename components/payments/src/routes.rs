//! The HTTP routes of payments.

use ::events::OrderStatus;
use serde::Serialize;
use ticketing_sdk::store::{Snapshot, transact};
use ticketing_sdk::{Error, Request, Response, Result, Router, id, now_ms};

use crate::domain::{self, Attempt, Authorization, OpenAttempt};
use crate::{provider, reconcile, store};

/// The routes of the component.
pub(crate) const ROUTES: Router = Router::new(&[("POST", "/api/payments", pay)]);

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
}

/// Authorizes the charge between two transactions. The first one stores the
/// attempt, so that no other request starts one, and sets a timer in case this
/// request does not finish. The second one records the provider's answer.
fn pay(request: &Request) -> Result<Response> {
    let buyer = request.signed_in()?;
    let mut fields = request.fields()?;
    let order_id = fields.text("orderId", |text| Ok(text.to_owned()));
    let token = fields.text("token", domain::token);
    let (Some(order_id), Some(token)) = (order_id, token) else {
        return Err(fields.into_error());
    };

    let attempt = open_attempt(&order_id, &buyer.id, &token)?;
    let answer = provider::authorize(&attempt)?;
    let order_status = transact(|tx| reconcile::record_authorization(tx, &attempt.id, &answer))?;

    match answer {
        Authorization::Approved(_) if order_status == OrderStatus::Cancelled => Err(domain::order_cancelled()),
        Authorization::Approved(_) => Response::json(201, &Body { id: &attempt.id }),
        Authorization::Declined(_, message) => Err(Error::refused(402, message)),
        Authorization::Invalid(reason) => Err(domain::invalid_payment(&reason)),
    }
}

fn open_attempt(order_id: &str, user_id: &str, token: &str) -> Result<Attempt> {
    let not_found = || Error::copy_not_found(order_id);
    // The event about a new order may still be under way. This query holds no
    // write lock, so an early request does not delay the event's handler.
    store::find_order(&Snapshot, order_id)?.ok_or_else(not_found)?;
    transact(|tx| {
        let order = store::find_order(tx, order_id)?.ok_or_else(not_found)?;
        let last = store::last_attempt(tx, order_id)?;
        match order.open_attempt(user_id, token, last, now_ms(), id::new())? {
            OpenAttempt::Existing(attempt) => Ok(attempt),
            OpenAttempt::New(attempt) => {
                store::insert_attempt(tx, &attempt)?;
                reconcile::schedule_recovery(tx, &attempt)?;
                tx.publish(&attempt.pending_event())?;
                Ok(attempt)
            }
        }
    })
}
