//! The tickets, and the orders that reserve nothing any more.

use ::events::Money;
use ticketing_sdk::paging::Page;
use ticketing_sdk::store::{FromRow, Query, Row, Snapshot, Tx};
use ticketing_sdk::{Result, now_ms, params};

use crate::domain::Ticket;

/// How long the end of an order is remembered: far longer than any of its
/// events is under way.
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

/// A ticket by its id.
pub(crate) fn find(db: &impl Query, id: &str) -> Result<Option<Ticket>> {
    db.one(
        "SELECT id, version, title, amount, currency, user_id, order_id
         FROM tickets WHERE id = $1",
        params![id],
    )
}

/// The tickets that nobody has reserved, newest first.
pub(crate) fn for_sale(page: &Page, pattern: Option<&str>) -> Result<Vec<Ticket>> {
    const COLUMNS: &str = "SELECT id, version, title, amount, currency, user_id, order_id
         FROM tickets WHERE order_id IS NULL";
    // Every id sorts before this.
    let cursor = page.cursor.as_deref().unwrap_or("g");
    match pattern {
        None => Snapshot.all(&format!("{COLUMNS} AND id < $1 ORDER BY id DESC LIMIT $2"), params![cursor, page.rows()]),
        Some(pattern) => Snapshot.all(
            &format!(
                "{COLUMNS} AND id < $1 AND title_key LIKE $2 ESCAPE '!'
                 ORDER BY id DESC LIMIT $3"
            ),
            params![cursor, pattern, page.rows()],
        ),
    }
}

/// Keeps a new ticket.
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

/// Changes title and price, unless it was changed or reserved meanwhile.
pub(crate) fn edit(tx: &Tx<'_>, ticket: &Ticket) -> Result<()> {
    tx.update(
        "UPDATE tickets SET version = version + 1, title = $3, title_key = $4, amount = $5
         WHERE id = $1 AND version = $2 AND order_id IS NULL",
        params![&ticket.id, ticket.version - 1, &ticket.title, ticket.title.to_lowercase(), ticket.price.amount,],
    )
}

/// Changes who holds it, unless it was changed meanwhile.
pub(crate) fn hold(tx: &Tx<'_>, ticket: &Ticket) -> Result<()> {
    tx.update(
        "UPDATE tickets SET version = version + 1, order_id = $3
         WHERE id = $1 AND version = $2",
        params![&ticket.id, ticket.version - 1, ticket.order_id.as_ref()],
    )
}

/// Whether the order is known to be over.
pub(crate) fn is_released(tx: &Tx<'_>, order_id: &str) -> Result<bool> {
    let found: Option<String> =
        tx.one("SELECT order_id FROM released_orders WHERE order_id = $1", params![order_id])?;
    Ok(found.is_some())
}

/// Remembers that the order is over.
pub(crate) fn mark_released(tx: &Tx<'_>, order_id: &str) -> Result<()> {
    let now = now_ms();
    tx.execute(
        "INSERT INTO released_orders (order_id, released_ms) VALUES ($1, $2)
         ON CONFLICT (order_id) DO NOTHING",
        params![order_id, now],
    )?;
    tx.execute("DELETE FROM released_orders WHERE released_ms < $1", params![now - RELEASED_KEPT_MS])?;
    Ok(())
}
