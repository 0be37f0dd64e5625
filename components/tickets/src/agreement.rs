//! The agreement with `orders` about an edit.
//!
//! `orders` sells by its own copy of a ticket, which an event updates. So the
//! response to an edit waits until `orders` has confirmed the new version. Its
//! transactions run one after another, so no order is made at an older price or
//! title after that.

use ::events::TicketCopied;
use ticketing_sdk::messaging::{Delivery, Handled};
use ticketing_sdk::signals::Listener;
use ticketing_sdk::store::{Snapshot, Tx};
use ticketing_sdk::{Error, Result};

use crate::domain::Ticket;
use crate::store;

/// Long enough for another host to take over the work of one that has died.
const WAIT_MS: i64 = 8_000;

/// Listens to the confirmations of one ticket. Make it before the edit.
pub(crate) fn listen(ticket_id: &str) -> Result<Listener> {
    Listener::to(&topic(ticket_id))
}

/// Waits until `orders` has confirmed this version. The error says that it has
/// not done so in time. The edit is saved all the same.
pub(crate) fn await_confirmation(listener: &Listener, ticket: &Ticket) -> Result<()> {
    let confirmed = listener.wait_until(WAIT_MS, || {
        let version = store::copied_version(&Snapshot, &ticket.id)?;
        Ok(version.filter(|version| *version >= ticket.version))
    })?;
    match confirmed {
        Some(_) => Ok(()),
        None => Err(Error::busy("The change is saved, but a buyer may still get the old price for a moment")),
    }
}

/// `orders` has confirmed a version.
pub(crate) fn ticket_copied(copy: &Delivery<TicketCopied>, tx: &Tx<'_>) -> Handled {
    store::set_copied_version(tx, &copy.id, copy.version)?;
    Ok(tx.notify(&topic(&copy.id))?)
}

fn topic(ticket_id: &str) -> String {
    format!("copied:{ticket_id}")
}
