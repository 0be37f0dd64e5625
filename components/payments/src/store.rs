//! The attempts, and copies of the orders.

use ::events::{Money, OrderCreated, OrderStatus};
use ticketing_sdk::store::{FromRow, Query, Row, Tx};
use ticketing_sdk::{Error, Result, Timestamp, params};

use crate::domain::{Attempt, Order, State, Terms};

const SELECT_ATTEMPT: &str =
    "SELECT id, version, order_id, attempt, state, token, provider_id, amount, currency FROM payments";

const SELECT_CHARGE: &str =
    "SELECT payments.id, payments.version, order_id, attempt, state, token, provider_id, payments.amount,
        payments.currency, orders.status AS order_status
     FROM payments LEFT JOIN orders ON orders.id = payments.order_id";

/// An attempt, and where its order stands.
pub(crate) struct Charge {
    pub(crate) attempt: Attempt,
    /// None while the order is not known.
    pub(crate) order: Option<OrderStatus>,
}

impl FromRow for Attempt {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        let state = row.text("state")?;
        Ok(Self {
            id: row.text("id")?,
            version: row.integer("version")?,
            order_id: row.text("order_id")?,
            number: row.integer("attempt")?,
            state: State::parse(&state).ok_or_else(|| Error::Internal(format!("unknown state `{state}`")))?,
            token: row.optional_text("token")?,
            provider_id: row.optional_text("provider_id")?,
            price: Money { amount: row.integer("amount")?, currency: row.text("currency")? },
        })
    }
}

impl FromRow for Charge {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        let order = row.optional_text("order_status")?.map(|status| order_status(&status)).transpose()?;
        Ok(Self { attempt: Attempt::from_row(row)?, order })
    }
}

fn order_status(text: &str) -> Result<OrderStatus> {
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
                Some(Terms { user_id, expires_at: Timestamp(expires_ms), price: Money { amount, currency } })
            }
            _ => None,
        };
        Ok(Self { id: row.text("id")?, version: row.integer("version")?, status: order_status(&status)?, terms })
    }
}

/// An order's copy.
pub(crate) fn order(db: &impl Query, id: &str) -> Result<Option<Order>> {
    db.one("SELECT id, version, status, user_id, expires_ms, amount, currency FROM orders WHERE id = $1", params![id])
}

/// Copies a new order. One that is known already, because its end came first,
/// keeps its status and gains the rest.
pub(crate) fn insert_order(tx: &Tx<'_>, order: &OrderCreated) -> Result<()> {
    tx.execute(
        "INSERT INTO orders (id, version, status, user_id, expires_ms, amount, currency)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, expires_ms = excluded.expires_ms,
            amount = excluded.amount, currency = excluded.currency
         WHERE orders.user_id IS NULL",
        params![
            &order.id,
            order.version,
            OrderStatus::Created.as_str(),
            &order.user_id,
            order.expires_at.0,
            order.ticket.price.amount,
            &order.ticket.price.currency,
        ],
    )?;
    Ok(())
}

/// Notes the end of an order, known or not, unless an end is known. Whether it
/// is the end.
pub(crate) fn end_order(tx: &Tx<'_>, id: &str, version: i64, status: OrderStatus) -> Result<bool> {
    let noted = tx.execute(
        "INSERT INTO orders (id, version, status) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = excluded.status
         WHERE orders.status = 'created' AND orders.version < excluded.version",
        params![id, version, status.as_str()],
    )?;
    Ok(noted > 0)
}

/// An attempt by its id.
pub(crate) fn charge(db: &impl Query, id: &str) -> Result<Option<Charge>> {
    db.one(&format!("{SELECT_CHARGE} WHERE payments.id = $1"), params![id])
}

/// The latest attempt to charge an order.
pub(crate) fn last_charge(tx: &Tx<'_>, order_id: &str) -> Result<Option<Charge>> {
    tx.one(&format!("{SELECT_CHARGE} WHERE order_id = $1 ORDER BY attempt DESC LIMIT 1"), params![order_id])
}

/// The latest attempt to charge an order, alone.
pub(crate) fn last_attempt(tx: &Tx<'_>, order_id: &str) -> Result<Option<Attempt>> {
    tx.one(&format!("{SELECT_ATTEMPT} WHERE order_id = $1 ORDER BY attempt DESC LIMIT 1"), params![order_id])
}

/// Keeps a new attempt; while another is under way there can be none, and its
/// outcome must be looked at first.
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
        outcome => outcome.map(|_| ()),
    }
}

/// Keeps the attempt as it is now, unless somebody else changed it meanwhile.
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
