//! Tickets that were held before this component stored sales. Nobody has told it
//! whether their orders are complete.
//!
//! The first reader of such a ticket asks `orders` with an event, and the request
//! waits for a moment for the answer, which is `order.completed`. While there is
//! no answer, the order is open and the ticket is reserved.

use ::events::TicketHeld;
use ticketing_sdk::store::transact;
use ticketing_sdk::{Response, Result, now_ms};

use crate::domain::Ticket;
use crate::store;

/// The time for which a request waits for the answers.
const ANSWER_MS: u32 = 500;
/// The time after which a question without an answer is asked again.
const REPEATED_AFTER_MS: i64 = 10_000;
/// The most questions of one request. Its repetitions ask the others.
const MAX_QUESTIONS: usize = 50;

/// The response that shows these tickets. If one of them is unsettled, the host
/// repeats the request for a short time.
pub(crate) fn settled(response: Response, tickets: &[Ticket]) -> Result<Response> {
    let unsettled = || tickets.iter().filter_map(|ticket| Some((ticket, ticket.unsettled_order()?)));
    if unsettled().next().is_none() {
        return Ok(response);
    }
    let now = now_ms();
    transact(|tx| {
        for (ticket, order_id) in unsettled().take(MAX_QUESTIONS) {
            if store::mark_asked(tx, &ticket.id, now, now - REPEATED_AFTER_MS)? {
                tx.publish(&TicketHeld { id: ticket.id.clone(), order_id: order_id.to_owned() })?;
            }
        }
        Ok(())
    })?;
    Ok(response.ask_again_for(ANSWER_MS))
}
