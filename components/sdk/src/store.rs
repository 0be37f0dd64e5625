//! SQL in the component's own database: statements, typed rows, and
//! transactions that make state, events and timers durable together.

use serde::Serialize;

use crate::bindings::imports::platform::store::sql;
use crate::error::{Error, Result};
use crate::messaging::Payload;

pub use sql::{Error as SqlError, Timer, Transaction, Value};

/// How often a transaction is begun when others are in its way.
const MAX_ATTEMPTS: u32 = 5;

/// Runs the work in a transaction and commits it. On an error everything is
/// rolled back; after a conflict the work is done again from the start, a
/// bounded number of times, so it must have no effect but through `Tx`.
pub fn transact<T>(mut work: impl FnMut(&Tx<'_>) -> Result<T>) -> Result<T> {
    let mut attempt = 1;
    loop {
        match once(&mut work) {
            Err(error) if error.is_conflict() && attempt < MAX_ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

fn once<T>(work: &mut impl FnMut(&Tx<'_>) -> Result<T>) -> Result<T> {
    let raw = Transaction::begin()?;
    match work(&Tx::new(&raw)) {
        Ok(value) => {
            Transaction::commit(raw)?;
            Ok(value)
        }
        Err(error) => {
            Transaction::rollback(raw);
            Err(error)
        }
    }
}

/// Something that answers queries: a transaction, or [`Snapshot`].
pub trait Query {
    /// Runs a statement that returns rows.
    fn rows(&self, statement: &str, parameters: &[Value]) -> Result<sql::Rows>;

    /// All rows of a statement.
    fn all<T: FromRow>(&self, statement: &str, parameters: &[Value]) -> Result<Vec<T>> {
        let sql::Rows { columns, rows } = self.rows(statement, parameters)?;
        rows.into_iter().map(|values| T::from_row(&mut Row { columns: &columns, values })).collect()
    }

    /// The first row of a statement, if it has any.
    fn one<T: FromRow>(&self, statement: &str, parameters: &[Value]) -> Result<Option<T>> {
        Ok(self.all(statement, parameters)?.into_iter().next())
    }
}

/// Queries outside any transaction, each on what is committed at its time.
pub struct Snapshot;

impl Query for Snapshot {
    fn rows(&self, statement: &str, parameters: &[Value]) -> Result<sql::Rows> {
        Ok(sql::query(statement, parameters)?)
    }
}

/// An open transaction. It sees its own changes; nobody else sees any before
/// the commit.
pub struct Tx<'a>(&'a Transaction);

impl<'a> Tx<'a> {
    #[doc(hidden)]
    pub fn new(raw: &'a Transaction) -> Self {
        Self(raw)
    }

    /// Runs a statement and returns how many rows it changed.
    pub fn execute(&self, statement: &str, parameters: &[Value]) -> Result<u64> {
        Ok(self.0.execute(statement, parameters)?)
    }

    /// Runs a statement that is conditional on the version that was read:
    /// changing no row means that somebody else was faster.
    pub fn update(&self, statement: &str, parameters: &[Value]) -> Result<()> {
        match self.execute(statement, parameters)? {
            0 => Err(Error::Conflict),
            _ => Ok(()),
        }
    }

    /// Publishes an event when the transaction commits.
    pub fn publish<P: Payload>(&self, payload: &P) -> Result<()> {
        self.0.publish(P::SUBJECT, &to_json(payload)?)?;
        Ok(())
    }

    /// Sets a timer when the transaction commits; one with the same key is
    /// replaced.
    pub fn schedule(&self, key: &str, due_ms: u64, payload: &impl Serialize) -> Result<()> {
        self.0.schedule(&Timer { key: key.to_owned(), due_ms, payload: to_json(payload)? })?;
        Ok(())
    }

    /// Removes a timer, if there is one, when the transaction commits.
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

/// Made from a row.
pub trait FromRow: Sized {
    /// Takes what it needs out of the row.
    fn from_row(row: &mut Row<'_>) -> Result<Self>;
}

/// A row of an answer, by the names of its columns. A value can be taken once.
pub struct Row<'a> {
    columns: &'a [String],
    values: Vec<Value>,
}

impl Row<'_> {
    /// A text.
    pub fn text(&mut self, column: &str) -> Result<String> {
        self.optional_text(column)?.ok_or_else(|| mismatch(column, "null"))
    }

    /// A text or null.
    pub fn optional_text(&mut self, column: &str) -> Result<Option<String>> {
        match self.take(column)? {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            _ => Err(mismatch(column, "not a text")),
        }
    }

    /// An integer.
    pub fn integer(&mut self, column: &str) -> Result<i64> {
        self.optional_integer(column)?.ok_or_else(|| mismatch(column, "null"))
    }

    /// An integer or null.
    pub fn optional_integer(&mut self, column: &str) -> Result<Option<i64>> {
        match self.take(column)? {
            Value::Integer(integer) => Ok(Some(integer)),
            Value::Null => Ok(None),
            _ => Err(mismatch(column, "not an integer")),
        }
    }

    fn take(&mut self, column: &str) -> Result<Value> {
        self.columns
            .iter()
            .position(|name| name == column)
            .and_then(|index| self.values.get_mut(index))
            .map(|value| std::mem::replace(value, Value::Null))
            .ok_or_else(|| mismatch(column, "absent"))
    }
}

fn mismatch(column: &str, what: &str) -> Error {
    Error::Internal(format!("column `{column}` is {what}"))
}

/// A single text column.
impl FromRow for String {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        let [column] = row.columns else {
            return Err(Error::Internal("not a single column".to_owned()));
        };
        row.text(column)
    }
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
    fn a_row_gives_its_values_by_name_and_type() {
        let columns = ["id".to_owned(), "count".to_owned(), "note".to_owned()];
        let mut row = Row { columns: &columns, values: params!["a", 3, None::<&str>].to_vec() };
        assert_eq!(row.text("id").unwrap(), "a");
        assert_eq!(row.integer("count").unwrap(), 3);
        assert_eq!(row.optional_text("note").unwrap(), None);
        assert!(row.text("note").is_err());
        assert!(row.text("absent").is_err());
    }
}
