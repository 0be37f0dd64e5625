//! The tables of tickets and of released orders.

use ::events::Money;
use ticketing_sdk::paging::Page;
use ticketing_sdk::store::{FromRow, Query, Row, Snapshot, Tx, Value, placeholders};
use ticketing_sdk::{Result, now_ms, params};

use crate::domain::Ticket;
use crate::{index, terms};

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

const COLUMNS: &str = "id, version, title, amount, currency, user_id, order_id, sold, withdrawal_id";

/// Every id sorts before this text.
const AFTER_ALL_IDS: &str = "g";

/// The ids of one statement. A page has fewer.
pub(crate) const IDS_AT_ONCE: usize = 128;

/// Finds a ticket by its id.
pub(crate) fn find(db: &impl Query, id: &str) -> Result<Option<Ticket>> {
    db.one(&format!("SELECT {COLUMNS} FROM tickets WHERE id = $1"), params![id])
}

/// Which tickets a list or a search shows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Selection<'a> {
    /// Those that no order holds.
    ForSale,
    /// Those of a seller, in every status.
    Of(&'a str),
}

impl Selection<'_> {
    /// The condition in SQL. Its parameter follows the others.
    fn condition(self, parameters: &mut Vec<Value>) -> String {
        match self {
            Self::ForSale => "order_id IS NULL".to_owned(),
            Self::Of(seller_id) => {
                parameters.push(seller_id.into());
                format!("user_id = ${}", parameters.len())
            }
        }
    }
}

/// Lists tickets, newest first.
pub(crate) fn list(selection: Selection<'_>, page: &Page) -> Result<Vec<Ticket>> {
    newest(COLUMNS, selection, page.cursor.as_deref(), page.rows())
}

/// A ticket's title as the search compares it.
pub(crate) struct Title {
    pub(crate) id: String,
    /// The key of the title, or the title itself if its key is of an older
    /// version.
    pub(crate) key: String,
}

const TITLE_COLUMNS: &str =
    "id, CASE WHEN title_key < ' ' OR title_key >= '!' THEN title ELSE title_key END AS title_key";

impl FromRow for Title {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        Ok(Self { id: row.text("id")?, key: row.text("title_key")? })
    }
}

/// The titles of the newest tickets before this one.
pub(crate) fn titles(selection: Selection<'_>, before: Option<&str>, count: usize) -> Result<Vec<Title>> {
    newest(TITLE_COLUMNS, selection, before, i64::try_from(count).unwrap_or(i64::MAX))
}

/// The titles of the tickets with these ids, newest first.
pub(crate) fn titles_of(selection: Selection<'_>, ids: &[&String]) -> Result<Vec<Title>> {
    of_ids(TITLE_COLUMNS, selection, ids)
}

/// The tickets with these ids, newest first.
pub(crate) fn find_all(selection: Selection<'_>, ids: &[String]) -> Result<Vec<Ticket>> {
    of_ids(COLUMNS, selection, &ids.iter().collect::<Vec<&String>>())
}

fn newest<T: FromRow>(columns: &str, selection: Selection<'_>, before: Option<&str>, count: i64) -> Result<Vec<T>> {
    let mut parameters = vec![before.unwrap_or(AFTER_ALL_IDS).into(), count.into()];
    let condition = selection.condition(&mut parameters);
    let statement = format!("SELECT {columns} FROM tickets WHERE {condition} AND id < $1 ORDER BY id DESC LIMIT $2");
    Snapshot.all(&statement, &parameters)
}

/// One statement, so there are at most [`IDS_AT_ONCE`] ids.
fn of_ids<T: FromRow>(columns: &str, selection: Selection<'_>, ids: &[&String]) -> Result<Vec<T>> {
    let Some(last) = ids.last() else { return Ok(Vec::new()) };
    // One length of the list makes one text for the host and the database.
    let ids = ids.iter().chain(std::iter::repeat(last)).take(IDS_AT_ONCE);
    let mut parameters: Vec<Value> = ids.map(|id| Value::from(*id)).collect();
    let list = placeholders(1, IDS_AT_ONCE);
    let condition = selection.condition(&mut parameters);
    let statement = format!("SELECT {columns} FROM tickets WHERE id IN ({list}) AND {condition} ORDER BY id DESC");
    Snapshot.all(&statement, &parameters)
}

/// Inserts a new ticket.
pub(crate) fn insert(tx: &Tx<'_>, ticket: &Ticket) -> Result<()> {
    let key = terms::key(&ticket.title);
    index::add(tx, &ticket.id, &key)?;
    tx.execute(
        "INSERT INTO tickets (id, version, title, title_key, amount, currency, user_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![
            &ticket.id,
            ticket.version,
            &ticket.title,
            key,
            ticket.price.amount,
            &ticket.price.currency,
            &ticket.user_id,
        ],
    )?;
    Ok(())
}

/// Updates the title and the price. It fails with a conflict if the ticket was
/// changed or reserved in the meantime.
pub(crate) fn update_title_and_price(tx: &Tx<'_>, old: &Ticket, ticket: &Ticket) -> Result<()> {
    let (old_key, key) = (terms::key(&old.title), terms::key(&ticket.title));
    if key != old_key {
        index::replace(tx, &ticket.id, &old_key, &key)?;
    }
    tx.update(
        "UPDATE tickets SET version = version + 1, title = $3, title_key = $4, amount = $5
         WHERE id = $1 AND version = $2 AND order_id IS NULL",
        params![&ticket.id, old.version, &ticket.title, key, ticket.price.amount],
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
    index::remove(tx, &ticket.id, &terms::key(&ticket.title))?;
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
