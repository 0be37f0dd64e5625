//! The table of attempts, and the copies of the orders.

use ::events::{Money, OrderCreated, OrderStatus, Parties};
use ticketing_sdk::store::{FromRow, Query, Row, Tx};
use ticketing_sdk::{Error, Result, Timestamp, params};

use crate::domain::{Attempt, AttemptState, Order, Terms};

const SELECT_ATTEMPT: &str =
    "SELECT id, version, order_id, attempt, state, token, provider_id, amount, currency FROM payments";

const SELECT_WITH_ORDER: &str =
    "SELECT payments.id, payments.version, order_id, attempt, state, token, provider_id, payments.amount,
        payments.currency, orders.status AS order_status, orders.user_id, orders.seller_id
     FROM payments LEFT JOIN orders ON orders.id = payments.order_id";

/// An attempt, and the status of its order.
pub(crate) struct AttemptWithOrder {
    pub(crate) attempt: Attempt,
    /// `None` while there is no copy of the order.
    pub(crate) order_status: Option<OrderStatus>,
    /// The buyer and the seller, as far as the events of the order have told.
    pub(crate) parties: Parties,
}

impl FromRow for Attempt {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        let state = row.text("state")?;
        Ok(Self {
            id: row.text("id")?,
            version: row.integer("version")?,
            order_id: row.text("order_id")?,
            number: row.integer("attempt")?,
            state: AttemptState::parse(&state).ok_or_else(|| Error::Internal(format!("unknown state `{state}`")))?,
            token: row.optional_text("token")?,
            provider_id: row.optional_text("provider_id")?,
            price: Money { amount: row.integer("amount")?, currency: row.text("currency")? },
        })
    }
}

impl FromRow for AttemptWithOrder {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        let order_status = row.optional_text("order_status")?.map(|status| parse_status(&status)).transpose()?;
        let parties = Parties { user_id: row.optional_text("user_id")?, seller_id: row.optional_text("seller_id")? };
        Ok(Self { attempt: Attempt::from_row(row)?, order_status, parties })
    }
}

fn parse_status(text: &str) -> Result<OrderStatus> {
    OrderStatus::parse(text).ok_or_else(|| Error::Internal(format!("unknown status `{text}`")))
}

impl FromRow for Order {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        let status = row.text("status")?;
        let terms = match (
            row.optional_text("user_id")?,
            row.optional_integer("expires_ms")?,
            row.optional_integer("amount")?,
            row.optional_text("currency")?,
        ) {
            (Some(user_id), Some(expires_ms), Some(amount), Some(currency)) => {
                let seller_id = row.optional_text("seller_id")?;
                let price = Money { amount, currency };
                Some(Terms { user_id, seller_id, expires_at: Timestamp(expires_ms), price })
            }
            _ => None,
        };
        Ok(Self { id: row.text("id")?, version: row.integer("version")?, status: parse_status(&status)?, terms })
    }
}

/// Finds the copy of an order.
pub(crate) fn find_order(db: &impl Query, id: &str) -> Result<Option<Order>> {
    db.one(
        "SELECT id, version, status, user_id, seller_id, expires_ms, amount, currency FROM orders WHERE id = $1",
        params![id],
    )
}

/// Inserts the copy of a new order. If the event about the order's end came
/// first, the copy keeps its status and gets the missing terms.
pub(crate) fn insert_order(tx: &Tx<'_>, order: &OrderCreated) -> Result<()> {
    tx.execute(
        "INSERT INTO orders (id, version, status, user_id, expires_ms, amount, currency, seller_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, expires_ms = excluded.expires_ms,
            seller_id = excluded.seller_id, amount = excluded.amount, currency = excluded.currency
         WHERE orders.user_id IS NULL",
        params![
            &order.id,
            order.version,
            OrderStatus::Created.as_str(),
            &order.user_id,
            order.expires_at.0,
            order.ticket.price.amount,
            &order.ticket.price.currency,
            order.seller_id.as_ref(),
        ],
    )?;
    Ok(())
}

/// Stores the end of an order, even without a copy of the order. Returns false
/// if an end is already stored.
pub(crate) fn end_order(tx: &Tx<'_>, id: &str, version: i64, status: OrderStatus) -> Result<bool> {
    let changed = tx.execute(
        "INSERT INTO orders (id, version, status) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = excluded.status
         WHERE orders.status = 'created' AND orders.version < excluded.version",
        params![id, version, status.as_str()],
    )?;
    Ok(changed > 0)
}

/// Finds an attempt by its id, with the status of its order.
pub(crate) fn find_attempt(db: &impl Query, id: &str) -> Result<Option<AttemptWithOrder>> {
    db.one(&format!("{SELECT_WITH_ORDER} WHERE payments.id = $1"), params![id])
}

/// Finds the latest attempt for an order, with the status of the order.
pub(crate) fn last_attempt_with_order(tx: &Tx<'_>, order_id: &str) -> Result<Option<AttemptWithOrder>> {
    tx.one(&format!("{SELECT_WITH_ORDER} WHERE order_id = $1 ORDER BY attempt DESC LIMIT 1"), params![order_id])
}

/// Finds the latest attempt for an order.
pub(crate) fn last_attempt(tx: &Tx<'_>, order_id: &str) -> Result<Option<Attempt>> {
    tx.one(&format!("{SELECT_ATTEMPT} WHERE order_id = $1 ORDER BY attempt DESC LIMIT 1"), params![order_id])
}

/// Inserts a new attempt. It fails with a conflict while the order has another
/// open attempt. The caller must then read that attempt first.
pub(crate) fn insert_attempt(tx: &Tx<'_>, attempt: &Attempt) -> Result<()> {
    let inserted = tx.execute(
        "INSERT INTO payments (id, version, order_id, attempt, state, token, amount, currency)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![
            &attempt.id,
            attempt.version,
            &attempt.order_id,
            attempt.number,
            attempt.state.as_str(),
            attempt.token.as_ref(),
            attempt.price.amount,
            &attempt.price.currency,
        ],
    );
    match inserted {
        Err(error)
            if error.is_duplicate_of("payments.order_id")
                || error.is_duplicate_of("payments.order_id, payments.attempt") =>
        {
            Err(Error::Conflict)
        }
        result => result.map(|_| ()),
    }
}

/// Saves a changed attempt. It fails with a conflict if another transaction has
/// changed the attempt.
pub(crate) fn update_attempt(tx: &Tx<'_>, attempt: &Attempt) -> Result<()> {
    tx.update(
        "UPDATE payments SET version = version + 1, state = $3, token = $4, provider_id = $5
         WHERE id = $1 AND version = $2",
        params![
            &attempt.id,
            attempt.version - 1,
            attempt.state.as_str(),
            attempt.token.as_ref(),
            attempt.provider_id.as_ref(),
        ],
    )
}
