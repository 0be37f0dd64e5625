//! What was acknowledged, what is in the databases, and how the two must agree.

use crate::support::{Host, eventually};
use rand::{RngExt, rngs::StdRng};
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard},
};

/// What the host has told somebody.
#[derive(Default)]
pub(crate) struct Facts(Mutex<Told>);

#[derive(Clone, Default)]
struct Told {
    /// Versions of tickets.
    tickets: HashMap<String, i64>,
    newest: Vec<String>,
    /// Tickets of orders.
    orders: HashMap<String, String>,
    paid: HashSet<String>,
    cancelled: HashSet<String>,
}

pub(crate) enum End {
    Paid,
    Cancelled,
}

#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) orders: usize,
    pub(crate) paid: usize,
    pub(crate) cancelled: usize,
}

impl Facts {
    /// What has been told until now.
    pub(super) fn copy(&self) -> Self {
        Self(Mutex::new(self.told().clone()))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap()
    }

    pub(crate) fn ticket(&self, id: &str, version: i64) {
        let mut told = self.told();
        if version == 0 {
            told.newest.push(id.to_owned());
        }
        let known = told.tickets.entry(id.to_owned()).or_insert(version);
        *known = version.max(*known);
    }

    pub(crate) fn order(&self, id: &str, ticket: &str) {
        self.told().orders.insert(id.to_owned(), ticket.to_owned());
    }

    pub(crate) fn end(&self, order: &str, end: End) {
        let mut told = self.told();
        match end {
            End::Paid => told.paid.insert(order.to_owned()),
            End::Cancelled => told.cancelled.insert(order.to_owned()),
        };
    }

    /// One of the newest tickets, so that buyers meet.
    pub(crate) fn some_ticket(&self, random: &mut StdRng) -> Option<String> {
        let told = self.told();
        let newest = &told.newest[told.newest.len().saturating_sub(6)..];
        (!newest.is_empty()).then(|| newest[random.random_range(0..newest.len())].clone())
    }

    pub(crate) fn counts(&self) -> Counts {
        let told = self.told();
        Counts { orders: told.orders.len(), paid: told.paid.len(), cancelled: told.cancelled.len() }
    }

    /// Everything acknowledged is there.
    pub(crate) fn are_in(&self, world: &World) {
        let told = self.told();
        for (id, version) in &told.tickets {
            let ticket = world.tickets.get(id).unwrap_or_else(|| panic!("the ticket {id} is lost"));
            assert!(ticket.version >= *version, "{id} was at {version}, and is {ticket:?}");
        }
        for (id, ticket) in &told.orders {
            let order = world.orders.get(id).unwrap_or_else(|| panic!("the order {id} is lost"));
            assert_eq!(&order.ticket_id, ticket);
            let (paid, cancelled) = (told.paid.contains(id), told.cancelled.contains(id));
            match order.status.as_str() {
                "complete" => assert!(!cancelled, "{order:?} was cancelled"),
                "cancelled" => {}
                _ => assert!(!cancelled && !paid, "{order:?}: cancelled {cancelled}, paid {paid}"),
            }
        }
    }
}

/// All that is in the databases.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) tickets: HashMap<String, Ticket>,
    pub(crate) orders: HashMap<String, Order>,
}

#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    id: String,
    version: i64,
    order_id: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Order {
    id: String,
    version: i64,
    status: String,
    ticket_id: String,
}

impl World {
    pub(crate) async fn read(host: &Host) -> Self {
        let tickets = host.database("components/tickets.db").await;
        let tickets = tickets.rows("SELECT id, version, order_id FROM tickets").await;
        let tickets = tickets.into_iter().map(|(id, version, order_id)| Ticket { id, version, order_id });
        let orders = host.database("components/orders.db").await;
        let orders = orders.rows("SELECT id, version, status, ticket_id FROM orders").await;
        let orders =
            orders.into_iter().map(|(id, version, status, ticket_id)| Order { id, version, status, ticket_id });
        Self {
            tickets: tickets.map(|ticket| (ticket.id.clone(), ticket)).collect(),
            orders: orders.map(|order| (order.id.clone(), order)).collect(),
        }
    }

    /// Nothing disappears, no version goes back, and what is final stays.
    pub(crate) fn follows(&self, before: &Self) {
        for (id, ticket) in &before.tickets {
            assert!(self.tickets[id].version >= ticket.version, "{ticket:?} became {:?}", self.tickets[id]);
        }
        for (id, order) in &before.orders {
            let now = &self.orders[id];
            let is_final = ["complete", "cancelled"].contains(&order.status.as_str());
            let same = (now.version, &now.status) == (order.version, &order.status);
            assert!(if is_final { same } else { now.version >= order.version }, "{order:?} became {now:?}");
        }
    }

    /// One ticket, one live order at most; and both sides agree on it.
    pub(crate) fn is_consistent(&self) {
        let mut holders: HashMap<&str, &str> = HashMap::new();
        for order in self.orders.values().filter(|order| order.status != "cancelled") {
            let other = holders.insert(&order.ticket_id, &order.id);
            assert_eq!(other, None, "beside {order:?}");
        }
        for ticket in self.tickets.values() {
            assert_eq!(ticket.order_id.as_deref(), holders.get(ticket.id.as_str()).copied(), "{ticket:?}");
        }
    }
}

/// In the end every order that was completed is charged once, every other one
/// not at all, and nothing is pending.
pub(crate) async fn money_agrees(host: &Host, facts: &Facts) {
    let pending = async || {
        let world = World::read(host).await;
        let mut pending: Vec<Order> = world.orders.into_values().collect();
        pending.retain(|order| order.status == "awaiting:payment");
        pending
    };
    eventually("every payment is resolved", pending, Vec::is_empty).await;
    host.settles().await;
    let world = World::read(host).await;
    facts.are_in(&world);
    let ledger = host.ledger().await;
    let disagreements = async || {
        let mut taken: HashMap<String, i64> = HashMap::new();
        let mut wrong = Vec::new();
        for charge in ledger.all().await {
            let order = charge.key.split(':').next().unwrap().to_owned();
            match charge.state.as_str() {
                "captured" => *taken.entry(order).or_default() += charge.amount,
                "authorized" => wrong.push(format!("{charge:?} is merely reserved")),
                _ => {}
            }
        }
        for order in world.orders.values() {
            let expected = if order.status == "complete" { 1_000 } else { 0 };
            let sum = taken.remove(&order.id).unwrap_or_default();
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
