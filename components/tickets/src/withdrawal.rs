//! The withdrawal of a ticket by its seller.
//!
//! `orders` decides which order gets a ticket, so it also decides whether a
//! ticket can be withdrawn. This component asks it with an event, and the
//! request waits for the decision. So the seller and a buyer never both succeed.

use ::events::{TicketWithdrawing, TicketWithdrawn, WithdrawalDecided};
use ticketing_sdk::store::Tx;
use ticketing_sdk::{Error, Request, Result, id, now_ms};

use crate::domain::Ticket;
use crate::store;

/// The state of a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The ticket is withdrawn.
    Done,
    /// `orders` has not decided yet.
    Undecided,
}

/// Starts the withdrawal of a ticket, unless it has started. The request is
/// repeated until the withdrawal is decided, so a repetition must change nothing.
pub(crate) fn request(tx: &Tx<'_>, request: &Request, ticket_id: &str, seller_id: &str) -> Result<State> {
    let Some(ticket) = store::find(tx, ticket_id)? else {
        let is_own = store::withdrawn_by(tx, ticket_id)?.is_some_and(|withdrawn_by| withdrawn_by == seller_id);
        return if is_own { Ok(State::Done) } else { Err(Error::not_found()) };
    };
    if ticket.user_id != seller_id {
        return Err(Error::not_authorized());
    }
    match &ticket.withdrawal_id {
        // The decision is under way. If it takes long, the question may be lost.
        Some(withdrawal_id) if id::is_recent(withdrawal_id, now_ms()) => {}
        Some(withdrawal_id) => ask(tx, &ticket, withdrawal_id)?,
        None => start(tx, request, &ticket)?,
    }
    Ok(State::Undecided)
}

fn start(tx: &Tx<'_>, request: &Request, ticket: &Ticket) -> Result<()> {
    if let Some(refusal) = ticket.withdrawal_refusal() {
        return Err(Error::bad_request(refusal));
    }
    request.check_if_match(ticket.version)?;
    let withdrawal_id = id::new();
    store::start_withdrawal(tx, &ticket.id, &withdrawal_id)?;
    ask(tx, ticket, &withdrawal_id)
}

fn ask(tx: &Tx<'_>, ticket: &Ticket, withdrawal_id: &str) -> Result<()> {
    tx.publish(&TicketWithdrawing { id: ticket.id.clone(), withdrawal_id: withdrawal_id.to_owned() })
}

/// Applies the decision. A granted withdrawal is final, because nobody can order
/// the ticket any more.
pub(crate) fn apply(tx: &Tx<'_>, decision: &WithdrawalDecided) -> Result<()> {
    if !decision.is_granted {
        return store::end_withdrawal(tx, &decision.ticket_id, &decision.id);
    }
    let Some(ticket) = store::find(tx, &decision.ticket_id)? else {
        return Ok(());
    };
    let version = ticket.version + 1;
    store::withdraw(tx, &ticket, version)?;
    let (user_id, price) = (Some(ticket.user_id), Some(ticket.price));
    tx.publish(&TicketWithdrawn { id: ticket.id, version, user_id, price })
}
