//! The tickets and orders in the databases of a host, and the rules that they
//! must obey.

use super::Host;
use std::collections::HashMap;

/// All tickets and orders at one moment.
#[derive(Debug, Default)]
pub(crate) struct MarketState {
    pub(crate) tickets: HashMap<String, TicketRow>,
    pub(crate) orders: HashMap<String, OrderRow>,
}

#[derive(Debug, Clone)]
pub(crate) struct TicketRow {
    id: String,
    pub(crate) version: i64,
    order_id: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct OrderRow {
    id: String,
    version: i64,
    pub(crate) status: String,
    pub(crate) ticket_id: String,
}

impl MarketState {
    pub(crate) async fn read(host: &Host) -> Self {
        let tickets = host.database("components/tickets.db").await;
        let tickets = tickets.rows("SELECT id, version, order_id FROM tickets").await;
        let tickets = tickets.into_iter().map(|(id, version, order_id)| TicketRow { id, version, order_id });
        let orders = host.database("components/orders.db").await;
        let orders = orders.rows("SELECT id, version, status, ticket_id FROM orders").await;
        let orders =
            orders.into_iter().map(|(id, version, status, ticket_id)| OrderRow { id, version, status, ticket_id });
        Self {
            tickets: tickets.map(|ticket| (ticket.id.clone(), ticket)).collect(),
            orders: orders.map(|order| (order.id.clone(), order)).collect(),
        }
    }

    /// Asserts that nothing has disappeared since `before`, that no version has
    /// gone back, and that orders in a final state have not changed.
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

    /// Asserts that each ticket has at most one live order, and that ticket and
    /// order name each other.
    pub(crate) fn is_consistent(&self) {
        let mut holders: HashMap<&str, &str> = HashMap::new();
        for order in self.orders.values().filter(|order| order.status != "cancelled") {
            let other = holders.insert(&order.ticket_id, &order.id);
            assert_eq!(other, None, "the ticket of {order:?} has another live order");
        }
        for ticket in self.tickets.values() {
            assert_eq!(ticket.order_id.as_deref(), holders.get(ticket.id.as_str()).copied(), "{ticket:?}");
        }
    }
}
