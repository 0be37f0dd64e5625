//! Withdrawals of tickets by their seller.

use std::collections::{BTreeMap, BTreeSet};

use events::{TicketWithdrawing, WithdrawalDecided};

use super::{Market, Message, pick};

/// The withdrawals of tickets, by the ids of the tickets.
#[derive(Default)]
pub(crate) struct Withdrawals {
    /// Those that `orders` has not decided yet, with their own ids.
    pub(crate) open: BTreeMap<String, String>,
    /// Those that `orders` has granted.
    pub(crate) granted: BTreeSet<String>,
    /// Those that `tickets` has made.
    pub(crate) done: BTreeSet<String>,
}

impl Market {
    /// The seller wants to withdraw a ticket.
    pub(crate) fn withdraw(&mut self, ticket: usize) {
        let Some(ticket) = pick(&self.tickets, ticket) else { return };
        if ticket.withdrawal_refusal().is_some() || self.withdrawals.open.contains_key(&ticket.id) {
            return;
        }
        let withdrawal_id = self.new_id();
        self.withdrawals.open.insert(ticket.id.clone(), withdrawal_id.clone());
        self.messages.push(Message::Withdrawing(TicketWithdrawing { id: ticket.id, withdrawal_id }));
    }

    /// `orders` decides.
    pub(super) fn decide_withdrawal(&mut self, event: TicketWithdrawing) {
        let is_granted = !self.is_held(&event.id);
        if is_granted {
            self.withdrawals.granted.insert(event.id.clone());
        }
        let decision = WithdrawalDecided { id: event.withdrawal_id, ticket_id: event.id, is_granted };
        self.messages.push(Message::WithdrawalDecided(decision));
    }

    /// `tickets` applies the decision.
    pub(super) fn end_withdrawal(&mut self, event: &WithdrawalDecided) {
        if event.is_granted {
            self.tickets.remove(&event.ticket_id);
            self.withdrawals.open.remove(&event.ticket_id);
            self.withdrawals.done.insert(event.ticket_id.clone());
        } else if self.withdrawals.open.get(&event.ticket_id) == Some(&event.id) {
            self.withdrawals.open.remove(&event.ticket_id);
        }
    }
}
