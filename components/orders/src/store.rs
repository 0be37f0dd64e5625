//! The table of orders, and the copies of the tickets.

use ::events::{Money, OrderStatus, TicketState};
use ticketing_sdk::paging::Page;
use ticketing_sdk::store::{FromRow, Query, Row, Snapshot, Tx};
use ticketing_sdk::{Error, Result, Timestamp, now_ms, params};

use crate::domain::{Order, Ticket};

const SELECT: &str = "SELECT id, version, user_id, status, expires_ms, pending_attempt, settled_attempt,
        ticket_id, ticket_version, title, amount, currency,
        (SELECT tickets.user_id FROM tickets WHERE tickets.id = orders.ticket_id) AS seller_id
     FROM orders";

impl FromRow for Order {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        let status = row.text("status")?;
        Ok(Self {
            id: row.text("id")?,
            version: row.integer("version")?,
            user_id: row.text("user_id")?,
            seller_id: row.optional_text("seller_id")?,
            status: OrderStatus::parse(&status).ok_or_else(|| Error::Internal(format!("unknown status `{status}`")))?,
            expires_at: Timestamp(row.integer("expires_ms")?),
            pending_attempt: row.integer("pending_attempt")?,
            settled_attempt: row.integer("settled_attempt")?,
            ticket: Ticket {
                id: row.text("ticket_id")?,
                version: row.integer("ticket_version")?,
                title: row.text("title")?,
                price: Money { amount: row.integer("amount")?, currency: row.text("currency")? },
            },
        })
    }
}

/// Finds an order by its id.
pub(crate) fn find(db: &impl Query, id: &str) -> Result<Option<Order>> {
    db.one(&format!("{SELECT} WHERE id = $1"), params![id])
}

/// Lists the orders of a buyer, newest first.
pub(crate) fn list_by_user(page: &Page, user_id: &str) -> Result<Vec<Order>> {
    // Every id sorts before this text.
    let cursor = page.cursor.as_deref().unwrap_or("g");
    Snapshot.all(
        &format!("{SELECT} WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"),
        params![user_id, cursor, page.rows()],
    )
}

/// Inserts a new order. The unique index refuses it while another order holds
/// the ticket.
pub(crate) fn insert(tx: &Tx<'_>, order: &Order) -> Result<()> {
    let inserted = tx.execute(
        "INSERT INTO orders (id, version, user_id, status, expires_ms,
            ticket_id, ticket_version, title, amount, currency)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            &order.id,
            order.version,
            &order.user_id,
            order.status.as_str(),
            order.expires_at.0,
            &order.ticket.id,
            order.ticket.version,
            &order.ticket.title,
            order.ticket.price.amount,
            &order.ticket.price.currency,
        ],
    );
    match inserted {
        Err(error) if error.is_duplicate_of("orders.ticket_id") => Err(already_reserved()),
        result => result.map(|_| ()),
    }
}

/// The error of an order for a ticket that another order holds.
pub(crate) fn already_reserved() -> Error {
    Error::bad_request("Ticket is already reserved")
}

/// Saves a changed order. It fails with a conflict if another transaction has
/// changed the order.
pub(crate) fn update(tx: &Tx<'_>, order: &Order) -> Result<()> {
    tx.update(
        "UPDATE orders SET version = version + 1, status = $3, pending_attempt = $4, settled_attempt = $5,
            ended_ms = $6
         WHERE id = $1 AND version = $2",
        params![
            &order.id,
            order.version - 1,
            order.status.as_str(),
            order.pending_attempt,
            order.settled_attempt,
            (order.status == OrderStatus::Cancelled).then(now_ms),
        ],
    )
}

/// A number of reservations, and a time of one of them.
pub(crate) struct Holds {
    pub(crate) count: i64,
    pub(crate) time_ms: Option<i64>,
}

impl FromRow for Holds {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        Ok(Self { count: row.integer("holds")?, time_ms: row.optional_integer("time_ms")? })
    }
}

/// The unpaid reservations of a buyer, and when the first of them expires.
pub(crate) fn unpaid_of(tx: &Tx<'_>, user_id: &str) -> Result<Holds> {
    one_row(tx.one(
        "SELECT count(*) AS holds, min(expires_ms) AS time_ms FROM orders
         WHERE user_id = $1 AND status IN ('created', 'awaiting:payment')",
        params![user_id],
    )?)
}

/// The reservations of the order's ticket that its buyer has let go since this
/// time, and the last time.
pub(crate) fn let_go_by(tx: &Tx<'_>, order: &Order, since_ms: i64) -> Result<Holds> {
    one_row(tx.one(
        "SELECT count(*) AS holds, max(ended_ms) AS time_ms FROM orders
         WHERE ticket_id = $1 AND user_id = $2 AND status = 'cancelled' AND ended_ms > $3",
        params![&order.ticket.id, &order.user_id, since_ms],
    )?)
}

fn one_row(holds: Option<Holds>) -> Result<Holds> {
    holds.ok_or_else(|| Error::Internal("an aggregate has no row".to_owned()))
}

/// A copy of a ticket, and its seller.
pub(crate) struct TicketCopy {
    pub(crate) ticket: Ticket,
    pub(crate) seller_id: String,
}

impl FromRow for TicketCopy {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        Ok(Self {
            ticket: Ticket {
                id: row.text("id")?,
                version: row.integer("version")?,
                title: row.text("title")?,
                price: Money { amount: row.integer("amount")?, currency: row.text("currency")? },
            },
            seller_id: row.text("user_id")?,
        })
    }
}

/// Finds the copy of a ticket by its id.
pub(crate) fn find_ticket(db: &impl Query, ticket_id: &str) -> Result<Option<TicketCopy>> {
    db.one("SELECT id, version, title, amount, currency, user_id FROM tickets WHERE id = $1", params![ticket_id])
}

/// Whether an order holds the ticket, or has bought it.
pub(crate) fn is_held(db: &impl Query, ticket_id: &str) -> Result<bool> {
    let found: Option<String> =
        db.one("SELECT id FROM orders WHERE ticket_id = $1 AND status <> 'cancelled'", params![ticket_id])?;
    Ok(found.is_some())
}

/// Whether the ticket can no longer be ordered.
pub(crate) fn is_withdrawn(db: &impl Query, ticket_id: &str) -> Result<bool> {
    let found: Option<String> =
        db.one("SELECT ticket_id FROM withdrawn_tickets WHERE ticket_id = $1", params![ticket_id])?;
    Ok(found.is_some())
}

/// Removes the copy of a ticket for good, even if its first event has not arrived
/// yet.
pub(crate) fn withdraw_ticket(tx: &Tx<'_>, ticket_id: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO withdrawn_tickets (ticket_id) VALUES ($1) ON CONFLICT (ticket_id) DO NOTHING",
        params![ticket_id],
    )?;
    tx.execute("DELETE FROM tickets WHERE id = $1", params![ticket_id]).map(drop)
}

/// Updates the copy of a ticket, unless the copy is newer.
pub(crate) fn update_ticket(tx: &Tx<'_>, ticket: &TicketState) -> Result<()> {
    tx.execute(
        "INSERT INTO tickets (id, version, title, amount, currency, user_id)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, title = excluded.title,
            amount = excluded.amount, currency = excluded.currency
         WHERE tickets.version < excluded.version",
        params![
            &ticket.id,
            ticket.version,
            &ticket.title,
            ticket.price.amount,
            &ticket.price.currency,
            &ticket.user_id,
        ],
    )?;
    Ok(())
}
