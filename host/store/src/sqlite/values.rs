//! Values on the way to and from SQLite.

use super::errors::Failure;
use crate::{Error, Value};
use sqlx::{
    Arguments, Decode, Row, Sqlite, TypeInfo, ValueRef,
    sqlite::{SqliteArguments, SqliteRow},
};

/// The parameters of a statement.
pub(super) fn arguments(parameters: Vec<Value>) -> Result<SqliteArguments, Failure> {
    let mut arguments = SqliteArguments::default();
    for parameter in parameters {
        match parameter {
            Value::Null => arguments.add(None::<i64>),
            Value::Integer(integer) => arguments.add(integer),
            // A sum with zero has no sign of zero.
            Value::Real(real) => arguments.add(real + 0.0),
            Value::Text(text) => arguments.add(text),
            Value::Blob(bytes) => arguments.add(bytes),
        }
        .map_err(|error| Failure::statement(Error::Invalid(error.to_string())))?;
    }
    Ok(arguments)
}

/// A value of a row as SQLite stores it. The declared type of the column does
/// not matter.
pub(super) fn value(row: &SqliteRow, index: usize) -> sqlx::Result<Value> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let stored = raw.type_info();
    match stored.name() {
        "INTEGER" => <i64 as Decode<Sqlite>>::decode(raw).map(Value::Integer),
        "REAL" => <f64 as Decode<Sqlite>>::decode(raw).map(Value::Real),
        "TEXT" => <String as Decode<Sqlite>>::decode(raw).map(Value::Text),
        "BLOB" => <Vec<u8> as Decode<Sqlite>>::decode(raw).map(Value::Blob),
        other => Err(format!("the storage class {other} is unknown").into()),
    }
    .map_err(sqlx::Error::Decode)
}
