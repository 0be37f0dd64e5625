//! The changes that a host has acknowledged to its users, to be compared with
//! its databases after a fault.

use super::{
    Host, eventually,
    market_state::{MarketState, OrderRow},
};
use rand::{RngExt, rngs::StdRng};
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard},
};

/// The price of each ticket in these tests.
const CENTS: i64 = 1_000;

/// Every change that a host has acknowledged.
#[derive(Default)]
pub(crate) struct Acknowledged(Mutex<Changes>);

#[derive(Clone, Default)]
struct Changes {
    /// The highest version of each ticket.
    tickets: HashMap<String, i64>,
    newest_tickets: Vec<String>,
    /// The ticket of each order.
    orders: HashMap<String, String>,
    paid: HashSet<String>,
    cancelled: HashSet<String>,
}

/// How many orders were acknowledged, and how many of them in each final state.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) orders: usize,
    pub(crate) paid: usize,
    pub(crate) cancelled: usize,
}

impl Acknowledged {
    /// A copy of what was acknowledged until now.
    pub(crate) fn copy(&self) -> Self {
        Self(Mutex::new(self.changes().clone()))
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.0.lock().unwrap()
    }

    pub(crate) fn record_ticket(&self, id: &str, version: i64) {
        let mut changes = self.changes();
        if version == 0 {
            changes.newest_tickets.push(id.to_owned());
        }
        let known = changes.tickets.entry(id.to_owned()).or_insert(version);
        *known = version.max(*known);
    }

    pub(crate) fn record_order(&self, id: &str, ticket: &str) {
        self.changes().orders.insert(id.to_owned(), ticket.to_owned());
    }

    pub(crate) fn record_payment(&self, order: &str) {
        self.changes().paid.insert(order.to_owned());
    }

    pub(crate) fn record_cancellation(&self, order: &str) {
        self.changes().cancelled.insert(order.to_owned());
    }

    /// One of the newest tickets. They are few, so that buyers compete.
    pub(crate) fn some_ticket(&self, random: &mut StdRng) -> Option<String> {
        let changes = self.changes();
        let newest = &changes.newest_tickets[changes.newest_tickets.len().saturating_sub(6)..];
        (!newest.is_empty()).then(|| newest[random.random_range(0..newest.len())].clone())
    }

    pub(crate) fn counts(&self) -> Counts {
        let changes = self.changes();
        Counts { orders: changes.orders.len(), paid: changes.paid.len(), cancelled: changes.cancelled.len() }
    }

    /// Waits until this many more orders have been paid.
    pub(crate) async fn more_are_paid(&self, more: usize) {
        let before = self.counts().paid;
        eventually("orders are paid", async || self.counts().paid, |paid| *paid >= before + more).await;
    }

    /// Asserts that every acknowledged change is in the databases.
    pub(crate) fn is_in(&self, state: &MarketState) {
        let changes = self.changes();
        for (id, version) in &changes.tickets {
            let ticket = state.tickets.get(id).unwrap_or_else(|| panic!("the ticket {id} is lost"));
            assert!(ticket.version >= *version, "version {version} of the ticket {id} is lost: {ticket:?}");
        }
        for (id, ticket) in &changes.orders {
            let order = state.orders.get(id).unwrap_or_else(|| panic!("the order {id} is lost"));
            assert_eq!(&order.ticket_id, ticket);
            let (paid, cancelled) = (changes.paid.contains(id), changes.cancelled.contains(id));
            match order.status.as_str() {
                "complete" => assert!(!cancelled, "{order:?} was cancelled"),
                "cancelled" => {}
                _ => assert!(!cancelled && !paid, "{order:?}: cancelled {cancelled}, paid {paid}"),
            }
        }
    }

    /// Waits until no work is left, and asserts that nothing acknowledged is
    /// lost, that the databases are consistent and that the money agrees.
    pub(crate) async fn is_whole_on(&self, host: &Host) {
        host.settles().await;
        let state = MarketState::read(host).await;
        self.is_in(&state);
        state.is_consistent();
        self.agrees_with_the_money(host).await;
    }

    /// Waits until every completed order is charged once, every other order is
    /// not charged, and no charge is pending.
    pub(crate) async fn agrees_with_the_money(&self, host: &Host) {
        let pending = async || {
            let state = MarketState::read(host).await;
            let mut pending: Vec<OrderRow> = state.orders.into_values().collect();
            pending.retain(|order| order.status == "awaiting:payment");
            pending
        };
        eventually("every payment is resolved", pending, Vec::is_empty).await;
        host.settles().await;
        let state = MarketState::read(host).await;
        self.is_in(&state);
        let ledger = host.payment_ledger().await;
        let disagreements = async || {
            let mut taken: HashMap<String, i64> = HashMap::new();
            let mut wrong = Vec::new();
            for charge in ledger.all().await {
                let order = charge.key.split(':').next().unwrap().to_owned();
                match charge.state.as_str() {
                    "captured" => *taken.entry(order).or_default() += charge.amount,
                    "authorized" => wrong.push(format!("{charge:?} is only reserved")),
                    _ => {}
                }
            }
            for (id, order) in &state.orders {
                let expected = if order.status == "complete" { CENTS } else { 0 };
                let sum = taken.remove(id).unwrap_or_default();
                if sum != expected {
                    wrong.push(format!("{sum} taken for {order:?}"));
                }
            }
            wrong.extend(taken.into_iter().map(|(order, sum)| format!("{sum} taken for the unknown order {order}")));
            wrong
        };
        eventually("the money agrees with the orders", disagreements, Vec::is_empty).await;
        assert!(host.dead_letters().await.is_empty());
    }
}
