//! SQL in the component's own database: statements, typed rows, and
//! transactions. A transaction commits rows, events and timers together.

use serde::Serialize;

use crate::bindings::imports::platform::live::live;
use crate::bindings::imports::platform::signals::signals;
use crate::bindings::imports::platform::store::sql;
use crate::error::{Error, Result};
use crate::payload::Payload;

pub use sql::{Error as SqlError, Timer, Transaction, Value};

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

    /// Runs a statement and converts all rows.
    fn all<T: FromRow>(&self, statement: &str, parameters: &[Value]) -> Result<Vec<T>> {
        let sql::Rows { columns, rows } = self.rows(statement, parameters)?;
        rows.into_iter().map(|values| T::from_row(&mut Row { columns: &columns, values })).collect()
    }

    /// Runs a statement and converts its first row, if there is one.
    fn one<T: FromRow>(&self, statement: &str, parameters: &[Value]) -> Result<Option<T>> {
        Ok(self.all(statement, parameters)?.into_iter().next())
    }
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
        self.0.publish(P::SUBJECT, &to_json(payload)?)?;
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

/// A type that is read from a row.
pub trait FromRow: Sized {
    /// Takes the values out of the row.
    fn from_row(row: &mut Row<'_>) -> Result<Self>;
}

/// A row of a result. A value is found by the name of its column, and can be
/// taken once.
pub struct Row<'a> {
    columns: &'a [String],
    values: Vec<Value>,
}

impl Row<'_> {
    /// Takes a text.
    pub fn text(&mut self, column: &str) -> Result<String> {
        self.optional_text(column)?.ok_or_else(|| column_error(column, "null"))
    }

    /// Takes a text or null.
    pub fn optional_text(&mut self, column: &str) -> Result<Option<String>> {
        match self.take(column)? {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            _ => Err(column_error(column, "not a text")),
        }
    }

    /// Takes bytes.
    pub fn blob(&mut self, column: &str) -> Result<Vec<u8>> {
        match self.take(column)? {
            Value::Blob(bytes) => Ok(bytes),
            _ => Err(column_error(column, "not bytes")),
        }
    }

    /// Takes an integer.
    pub fn integer(&mut self, column: &str) -> Result<i64> {
        self.optional_integer(column)?.ok_or_else(|| column_error(column, "null"))
    }

    /// Takes an integer or null.
    pub fn optional_integer(&mut self, column: &str) -> Result<Option<i64>> {
        match self.take(column)? {
            Value::Integer(integer) => Ok(Some(integer)),
            Value::Null => Ok(None),
            _ => Err(column_error(column, "not an integer")),
        }
    }

    fn take(&mut self, column: &str) -> Result<Value> {
        self.columns
            .iter()
            .position(|name| name == column)
            .and_then(|index| self.values.get_mut(index))
            .map(|value| std::mem::replace(value, Value::Null))
            .ok_or_else(|| column_error(column, "absent"))
    }
}

fn column_error(column: &str, problem: &str) -> Error {
    Error::Internal(format!("column `{column}` is {problem}"))
}

/// For rows of one text column.
impl FromRow for String {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        let [column] = row.columns else {
            return Err(Error::Internal("the row does not have exactly one column".to_owned()));
        };
        row.text(column)
    }
}

/// The placeholders of parameters for a list in SQL: `$2, $3, $4`.
pub fn placeholders(first: usize, last: usize) -> String {
    (first..=last).map(|number| format!("${number}")).collect::<Vec<String>>().join(", ")
}

/// The parameters of a statement: `params![id, version, None::<&str>]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::store::Value::from($value)),*]
    };
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_by_name_and_type() {
        let columns = ["id".to_owned(), "count".to_owned(), "note".to_owned(), "data".to_owned()];
        let mut row = Row { columns: &columns, values: params!["a", 3, None::<&str>, vec![1_u8]].to_vec() };
        assert_eq!(row.text("id").unwrap(), "a");
        assert_eq!(row.integer("count").unwrap(), 3);
        assert_eq!(row.optional_text("note").unwrap(), None);
        assert_eq!(row.blob("data").unwrap(), [1]);
        assert!(row.text("note").is_err());
        assert!(row.text("absent").is_err());
    }
}
