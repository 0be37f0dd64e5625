//! The HTTP side of payments.

use ::events::{OrderStatus, PaymentPending};
use serde::Serialize;
use ticketing_sdk::store::{Snapshot, transact};
use ticketing_sdk::{Error, Request, Response, Result, Router, id, now_ms};

use crate::domain::{self, Attempt, Authorization, Begin};
use crate::{settle, store};

/// All routes.
pub(crate) const ROUTES: Router = Router::new(&[("POST", "/api/payments", pay)]);

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
}

/// Authorizes the money between two transactions: the first makes sure that
/// nobody else does and that it is not forgotten, the second keeps the answer.
fn pay(request: &Request) -> Result<Response> {
    let buyer = request.signed_in()?;
    let mut fields = request.fields()?;
    let order_id = fields.text("orderId", |text| Ok(text.to_owned()));
    let token = fields.text("token", domain::token);
    let (Some(order_id), Some(token)) = (order_id, token) else {
        return Err(fields.into_error());
    };

    let attempt = begin(&order_id, &buyer.id, &token)?;
    let answer = settle::authorize(&attempt)?;
    let order = transact(|tx| settle::record(tx, &attempt.id, &answer))?;

    match answer {
        Authorization::Approved(_) if order == OrderStatus::Cancelled => Err(domain::cancelled()),
        Authorization::Approved(_) => Response::json(201, &Body { id: &attempt.id }),
        Authorization::Declined(_, message) => Err(Error::refused(402, message)),
        Authorization::Invalid(_) => Err(Error::field("token", "token must be the token of a card")),
    }
}

fn begin(order_id: &str, user_id: &str, token: &str) -> Result<Attempt> {
    let unknown = || Error::unknown(order_id);
    // The event about a new order may still be on its way: whoever is early
    // does not keep it waiting for a turn to write.
    store::order(&Snapshot, order_id)?.ok_or_else(unknown)?;
    transact(|tx| {
        let order = store::order(tx, order_id)?.ok_or_else(unknown)?;
        let last = store::last_attempt(tx, order_id)?;
        match order.begin(user_id, token, last, now_ms(), id::new())? {
            Begin::Resume(attempt) => Ok(attempt),
            Begin::Start(attempt) => {
                store::insert_attempt(tx, &attempt)?;
                settle::later(tx, &attempt)?;
                tx.publish(&PaymentPending {
                    id: attempt.id.clone(),
                    order_id: attempt.order_id.clone(),
                    attempt: attempt.number,
                    version: attempt.version,
                })?;
                Ok(attempt)
            }
        }
    })
}
