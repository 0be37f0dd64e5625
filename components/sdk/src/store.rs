//! SQL in the component's own database: statements, typed rows, and
//! transactions. A transaction commits rows, events and timers together.
//!
//! ```no_run
//! use ticketing_sdk::store::{self, Query, Snapshot, transact};
//! use ticketing_sdk::{Result, Timestamp, params};
//!
//! fn visit(who: &str) -> Result<i64> {
//!     transact(|tx| {
//!         tx.execute(
//!             "INSERT INTO visitors (who, visits, last_ms) VALUES ($1, 1, $2)
//!              ON CONFLICT (who) DO UPDATE SET visits = visitors.visits + 1, last_ms = $2",
//!             params![who, Timestamp::now()],
//!         )?;
//!         tx.publish_to("hello.visited", &who)
//!     })?;
//!     let found = Snapshot.one::<(i64, Timestamp)>("SELECT visits, last_ms FROM visitors WHERE who = $1", params![who])?;
//!     Ok(found.map_or(0, |(visits, _)| visits))
//! }
//! ```

mod row;
mod value;

use serde::Serialize;

use crate::bindings::imports::platform::live::live;
use crate::bindings::imports::platform::signals::signals;
use crate::bindings::imports::platform::store::sql;
use crate::error::{Error, Result};
use crate::payload::Payload;

pub use row::{FromRow, FromValue, Row};
pub use sql::{Error as SqlError, Timer, Transaction, Value};
pub use value::placeholders;

/// The highest number of attempts for a transaction that conflicts with others.
const MAX_ATTEMPTS: u32 = 5;

/// Runs `work` in a transaction and commits it.
///
/// An error rolls the transaction back. After a conflict `work` runs again
/// from the start, at most five times. So `work` may change things only
/// through its `Tx`.
pub fn transact<T>(mut work: impl FnMut(&Tx<'_>) -> Result<T>) -> Result<T> {
    let mut attempt = 1;
    loop {
        match run_once(&mut work) {
            Err(error) if error.is_conflict() && attempt < MAX_ATTEMPTS => attempt += 1,
            result => return result,
        }
    }
}

fn run_once<T>(work: &mut impl FnMut(&Tx<'_>) -> Result<T>) -> Result<T> {
    let transaction = Transaction::begin()?;
    match work(&Tx::new(&transaction)) {
        Ok(value) => {
            Transaction::commit(transaction)?;
            Ok(value)
        }
        Err(error) => {
            Transaction::rollback(transaction);
            Err(error)
        }
    }
}

/// Runs queries, inside a transaction ([`Tx`]) or outside ([`Snapshot`]).
pub trait Query {
    /// Runs a statement and returns its rows.
    fn rows(&self, statement: &str, parameters: &[Value]) -> Result<sql::Rows>;

    /// Runs a statement and converts all rows: into a type with [`FromRow`], a
    /// tuple of as many values as the row has, or the value of the only column.
    fn all<T: FromRow>(&self, statement: &str, parameters: &[Value]) -> Result<Vec<T>> {
        let sql::Rows { columns, rows } = self.rows(statement, parameters)?;
        rows.into_iter().map(|values| T::from_row(&mut Row::new(&columns, values))).collect()
    }

    /// Runs a statement and converts its first row, if there is one.
    fn one<T: FromRow>(&self, statement: &str, parameters: &[Value]) -> Result<Option<T>> {
        Ok(self.all(statement, parameters)?.into_iter().next())
    }
}

/// Runs one statement in a transaction of its own, and returns the number of
/// changed rows.
pub fn execute(statement: &str, parameters: &[Value]) -> Result<u64> {
    Ok(sql::execute(statement, parameters)?)
}

/// Queries outside transactions. Each one sees the rows that are committed when
/// it starts.
pub struct Snapshot;

impl Query for Snapshot {
    fn rows(&self, statement: &str, parameters: &[Value]) -> Result<sql::Rows> {
        Ok(sql::query(statement, parameters)?)
    }
}

/// An open transaction. It sees its own changes. Other transactions see them
/// after the commit.
pub struct Tx<'a>(&'a Transaction);

impl<'a> Tx<'a> {
    #[doc(hidden)]
    pub fn new(transaction: &'a Transaction) -> Self {
        Self(transaction)
    }

    /// Runs a statement and returns the number of changed rows.
    pub fn execute(&self, statement: &str, parameters: &[Value]) -> Result<u64> {
        Ok(self.0.execute(statement, parameters)?)
    }

    /// Runs an update that names the version that the caller has read. If it
    /// changes no row, the error is [`Error::Conflict`]: another transaction
    /// has changed the row.
    pub fn update(&self, statement: &str, parameters: &[Value]) -> Result<()> {
        match self.execute(statement, parameters)? {
            0 => Err(Error::Conflict),
            _ => Ok(()),
        }
    }

    /// Publishes an event. It is sent when the transaction commits.
    pub fn publish<P: Payload>(&self, payload: &P) -> Result<()> {
        self.publish_to(P::SUBJECT, payload)
    }

    /// Publishes an event under a subject. [`Tx::publish`] knows the subject of its
    /// type.
    pub fn publish_to(&self, subject: &str, payload: &impl Serialize) -> Result<()> {
        self.0.publish(subject, &to_json(payload)?)?;
        Ok(())
    }

    /// Sets a timer. It is stored when the transaction commits, and replaces a
    /// timer with the same key.
    pub fn schedule(&self, key: &str, due_ms: u64, payload: &impl Serialize) -> Result<()> {
        self.0.schedule(&Timer { key: key.to_owned(), due_ms, payload: to_json(payload)? })?;
        Ok(())
    }

    /// Wakes the requests that listen to a topic, when the transaction commits.
    pub fn notify(&self, topic: &str) -> Result<()> {
        signals::notify(self.0, topic)?;
        Ok(())
    }

    /// Sends an event to the listeners of a channel, when the transaction commits.
    /// [`Response::hold`](crate::Response::hold) makes a client a listener.
    pub fn send_live(&self, channel: &str, event: &str, data: &str) -> Result<()> {
        live::notify(self.0, channel, event, data)?;
        Ok(())
    }

    /// Removes a timer, if there is one. It is removed when the transaction
    /// commits.
    pub fn cancel_timer(&self, key: &str) -> Result<()> {
        self.0.cancel_timer(key)?;
        Ok(())
    }
}

impl Query for Tx<'_> {
    fn rows(&self, statement: &str, parameters: &[Value]) -> Result<sql::Rows> {
        Ok(self.0.query(statement, parameters)?)
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Internal(error.to_string()))
}
