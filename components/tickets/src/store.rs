//! The tables of tickets and of released orders.

use ::events::Money;
use ticketing_sdk::paging::Page;
use ticketing_sdk::store::{FromRow, Query, Row, Snapshot, Tx};
use ticketing_sdk::{Result, now_ms, params};

use crate::domain::Ticket;

/// How long the end of an order is stored. No event of an order is under way
/// for so long.
const RELEASED_KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1_000;

impl FromRow for Ticket {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            version: row.integer("version")?,
            title: row.text("title")?,
            price: Money { amount: row.integer("amount")?, currency: row.text("currency")? },
            user_id: row.text("user_id")?,
            order_id: row.optional_text("order_id")?,
        })
    }
}

/// Finds a ticket by its id.
pub(crate) fn find(db: &impl Query, id: &str) -> Result<Option<Ticket>> {
    db.one(
        "SELECT id, version, title, amount, currency, user_id, order_id
         FROM tickets WHERE id = $1",
        params![id],
    )
}

/// Lists the tickets that no order holds, newest first.
pub(crate) fn list_for_sale(page: &Page, pattern: Option<&str>) -> Result<Vec<Ticket>> {
    const SELECT: &str = "SELECT id, version, title, amount, currency, user_id, order_id
         FROM tickets WHERE order_id IS NULL";
    // Every id sorts before this text.
    let cursor = page.cursor.as_deref().unwrap_or("g");
    match pattern {
        None => Snapshot.all(&format!("{SELECT} AND id < $1 ORDER BY id DESC LIMIT $2"), params![cursor, page.rows()]),
        Some(pattern) => Snapshot.all(
            &format!(
                "{SELECT} AND id < $1 AND title_key LIKE $2 ESCAPE '!'
                 ORDER BY id DESC LIMIT $3"
            ),
            params![cursor, pattern, page.rows()],
        ),
    }
}

/// Inserts a new ticket.
pub(crate) fn insert(tx: &Tx<'_>, ticket: &Ticket) -> Result<()> {
    tx.execute(
        "INSERT INTO tickets (id, version, title, title_key, amount, currency, user_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![
            &ticket.id,
            ticket.version,
            &ticket.title,
            ticket.title.to_lowercase(),
            ticket.price.amount,
            &ticket.price.currency,
            &ticket.user_id,
        ],
    )?;
    Ok(())
}

/// Updates the title and the price. It fails with a conflict if the ticket was
/// changed or reserved in the meantime.
pub(crate) fn update_title_and_price(tx: &Tx<'_>, ticket: &Ticket) -> Result<()> {
    tx.update(
        "UPDATE tickets SET version = version + 1, title = $3, title_key = $4, amount = $5
         WHERE id = $1 AND version = $2 AND order_id IS NULL",
        params![&ticket.id, ticket.version - 1, &ticket.title, ticket.title.to_lowercase(), ticket.price.amount,],
    )
}

/// Updates the order that holds the ticket. It fails with a conflict if the
/// ticket was changed in the meantime.
pub(crate) fn update_holder(tx: &Tx<'_>, ticket: &Ticket) -> Result<()> {
    tx.update(
        "UPDATE tickets SET version = version + 1, order_id = $3
         WHERE id = $1 AND version = $2",
        params![&ticket.id, ticket.version - 1, ticket.order_id.as_ref()],
    )
}

/// Whether the order has ended.
pub(crate) fn is_order_released(tx: &Tx<'_>, order_id: &str) -> Result<bool> {
    let found: Option<String> =
        tx.one("SELECT order_id FROM released_orders WHERE order_id = $1", params![order_id])?;
    Ok(found.is_some())
}

/// Stores that the order has ended.
pub(crate) fn mark_order_released(tx: &Tx<'_>, order_id: &str) -> Result<()> {
    let now = now_ms();
    tx.execute(
        "INSERT INTO released_orders (order_id, released_ms) VALUES ($1, $2)
         ON CONFLICT (order_id) DO NOTHING",
        params![order_id, now],
    )?;
    tx.execute("DELETE FROM released_orders WHERE released_ms < $1", params![now - RELEASED_KEPT_MS])?;
    Ok(())
}
