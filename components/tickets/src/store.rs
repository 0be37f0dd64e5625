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
            is_sold: row.optional_integer("sold")?.map(|sold| sold != 0),
            withdrawal_id: row.optional_text("withdrawal_id")?,
        })
    }
}

const SELECT: &str = "SELECT id, version, title, amount, currency, user_id, order_id, sold, withdrawal_id
     FROM tickets";

/// Every id sorts before this text.
const AFTER_ALL_IDS: &str = "g";

/// Finds a ticket by its id.
pub(crate) fn find(db: &impl Query, id: &str) -> Result<Option<Ticket>> {
    db.one(&format!("{SELECT} WHERE id = $1"), params![id])
}

/// Lists the tickets that no order holds, newest first.
pub(crate) fn list_for_sale(page: &Page, pattern: Option<&str>) -> Result<Vec<Ticket>> {
    let cursor = page.cursor.as_deref().unwrap_or(AFTER_ALL_IDS);
    match pattern {
        None => Snapshot.all(
            &format!("{SELECT} WHERE order_id IS NULL AND id < $1 ORDER BY id DESC LIMIT $2"),
            params![cursor, page.rows()],
        ),
        Some(pattern) => Snapshot.all(
            &format!(
                "{SELECT} WHERE order_id IS NULL AND id < $1 AND title_key LIKE $2 ESCAPE '!'
                 ORDER BY id DESC LIMIT $3"
            ),
            params![cursor, pattern, page.rows()],
        ),
    }
}

/// Lists the tickets of a seller in every status, newest first.
pub(crate) fn list_by_seller(page: &Page, pattern: Option<&str>, seller_id: &str) -> Result<Vec<Ticket>> {
    let cursor = page.cursor.as_deref().unwrap_or(AFTER_ALL_IDS);
    match pattern {
        None => Snapshot.all(
            &format!("{SELECT} WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"),
            params![seller_id, cursor, page.rows()],
        ),
        Some(pattern) => Snapshot.all(
            &format!(
                "{SELECT} WHERE user_id = $1 AND id < $2 AND title_key LIKE $3 ESCAPE '!'
                 ORDER BY id DESC LIMIT $4"
            ),
            params![seller_id, cursor, pattern, page.rows()],
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

/// Updates the order that holds the ticket, and whether it is complete. It fails
/// with a conflict if the ticket was changed in the meantime.
pub(crate) fn update_holder(tx: &Tx<'_>, ticket: &Ticket) -> Result<()> {
    tx.update(
        "UPDATE tickets SET version = version + 1, order_id = $3, sold = $4
         WHERE id = $1 AND version = $2",
        params![&ticket.id, ticket.version - 1, ticket.order_id.as_ref(), ticket.is_sold.map(i64::from)],
    )
}

/// Stores that `orders` is asked about the order that holds the ticket. Returns
/// false if it was asked after this time already.
pub(crate) fn mark_asked(tx: &Tx<'_>, id: &str, now_ms: i64, after_ms: i64) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE tickets SET held_asked_ms = $2
         WHERE id = $1 AND (held_asked_ms IS NULL OR held_asked_ms < $3)",
        params![id, now_ms, after_ms],
    )?;
    Ok(changed > 0)
}

/// Stores the withdrawal that `orders` is asked about.
pub(crate) fn start_withdrawal(tx: &Tx<'_>, id: &str, withdrawal_id: &str) -> Result<()> {
    tx.update("UPDATE tickets SET withdrawal_id = $2 WHERE id = $1", params![id, withdrawal_id])
}

/// Removes the withdrawal, unless the ticket has another one.
pub(crate) fn end_withdrawal(tx: &Tx<'_>, id: &str, withdrawal_id: &str) -> Result<()> {
    let update = "UPDATE tickets SET withdrawal_id = NULL WHERE id = $1 AND withdrawal_id = $2";
    tx.execute(update, params![id, withdrawal_id]).map(drop)
}

/// Replaces a ticket by the note that it is withdrawn. `version` is its last
/// version.
pub(crate) fn withdraw(tx: &Tx<'_>, ticket: &Ticket, version: i64) -> Result<()> {
    tx.update("DELETE FROM tickets WHERE id = $1 AND version = $2", params![&ticket.id, ticket.version])?;
    tx.execute(
        "INSERT INTO withdrawn_tickets (id, version, user_id) VALUES ($1, $2, $3)",
        params![&ticket.id, version, &ticket.user_id],
    )
    .map(drop)
}

/// The seller who has withdrawn the ticket. `None` if it is not withdrawn.
pub(crate) fn withdrawn_by(tx: &Tx<'_>, id: &str) -> Result<Option<String>> {
    tx.one("SELECT user_id FROM withdrawn_tickets WHERE id = $1", params![id])
}

/// The version of a ticket that `orders` has confirmed, if it has confirmed any.
pub(crate) fn copied_version(db: &impl Query, id: &str) -> Result<Option<i64>> {
    Ok(db.one("SELECT version FROM copies WHERE ticket_id = $1", params![id])?.map(|Version(version)| version))
}

/// Stores a version of a ticket that `orders` has confirmed, unless a later one is
/// stored.
pub(crate) fn set_copied_version(tx: &Tx<'_>, id: &str, version: i64) -> Result<()> {
    tx.execute(
        "INSERT INTO copies (ticket_id, version) VALUES ($1, $2)
         ON CONFLICT (ticket_id) DO UPDATE SET version = excluded.version WHERE copies.version < excluded.version",
        params![id, version],
    )?;
    Ok(())
}

struct Version(i64);

impl FromRow for Version {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        Ok(Self(row.integer("version")?))
    }
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
