//! What PostgreSQL's error codes mean to a component.

use super::super::{ConstraintKind, Error, Violation};
use sqlx::postgres::PgDatabaseError;

/// A statement failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// What the component is told.
    pub(super) error: Error,
    /// The transaction cannot go on.
    pub(super) ends_transaction: bool,
    /// What may be done before it is tried once more.
    pub(super) remedy: Option<Remedy>,
}

/// What helps a statement that failed for no fault of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The types of its parameters have to be said.
    Types,
    /// The tables have changed since it was prepared.
    Prepare,
    /// The connection is gone: nothing was done.
    Connect,
}

impl Failure {
    /// The transaction goes on as if the statement had not been made.
    pub(super) fn statement(error: Error) -> Self {
        Self { error, ends_transaction: false, remedy: None }
    }

    pub(super) fn transaction(error: Error) -> Self {
        Self { error, ends_transaction: true, remedy: None }
    }

    fn with(self, remedy: Remedy) -> Self {
        Self { remedy: Some(remedy), ..self }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>()) {
            Some(database) => from_database(database),
            None => match &error {
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => {
                    Self::statement(Error::Invalid(format!("a value is not what its type says: {error}")))
                }
                sqlx::Error::PoolTimedOut => Self::transaction(Error::Timeout),
                sqlx::Error::PoolClosed => Self::transaction(Error::Unavailable("the database is closed".into())),
                _ => Self::transaction(Error::Unavailable(error.to_string())).with(Remedy::Connect),
            },
        }
    }
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
fn from_database(error: &PgDatabaseError) -> Failure {
    let message = error.message();
    match error.code() {
        "23505" => Failure::statement(violation(ConstraintKind::Unique, unique_columns(error))),
        "23503" => Failure::statement(violation(ConstraintKind::ForeignKey, String::new())),
        "23502" => {
            let target = format!("{}.{}", error.table().unwrap_or_default(), error.column().unwrap_or_default());
            Failure::statement(violation(ConstraintKind::NotNull, target))
        }
        "23514" => {
            Failure::statement(violation(ConstraintKind::Check, error.constraint().unwrap_or_default().to_owned()))
        }
        // Serialization failure, deadlock.
        "40001" | "40P01" => Failure::transaction(Error::Conflict),
        // Cancelled by the time limit, or waited too long for a lock.
        "57014" | "55P03" => Failure::transaction(Error::Timeout),
        // Indeterminate data type: nothing says what a parameter is.
        "42P18" => Failure::statement(Error::Invalid(message.to_owned())).with(Remedy::Types),
        "0A000" if message.contains("cached plan") => {
            Failure::statement(Error::Invalid(message.to_owned())).with(Remedy::Prepare)
        }
        // A prepared statement that another use of the connection has removed.
        "26000" => Failure::statement(Error::Invalid(message.to_owned())).with(Remedy::Prepare),
        // Program limits, such as a value of more than a gigabyte.
        "54000" | "54001" | "22P07" => {
            Failure::statement(Error::Limit("a value or statement of too many bytes".into()))
        }
        // Shutdown, crash, and sessions that the server ended.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => unavailable(message).with(Remedy::Connect),
        code if code.starts_with("08") => unavailable(message).with(Remedy::Connect),
        // Out of memory, disk or connections.
        code if code.starts_with("53") => unavailable(message),
        // Data, syntax, rights, and features that it does not have.
        code if ["22", "42", "0A", "21", "2F"].iter().any(|class| code.starts_with(class)) => {
            Failure::statement(Error::Invalid(message.to_owned()))
        }
        code => Failure::transaction(Error::Unavailable(format!("{message} (SQLSTATE {code})"))),
    }
}

fn unavailable(message: &str) -> Failure {
    Failure::transaction(Error::Unavailable(message.to_owned()))
}

fn violation(kind: ConstraintKind, target: String) -> Error {
    Error::Constraint(Violation { kind, target })
}

/// `things.a, things.b`: the detail has the columns in parentheses, before
/// their values.
fn unique_columns(error: &PgDatabaseError) -> String {
    let table = error.table().unwrap_or_default();
    let detail = error.detail().unwrap_or_default();
    let columns = detail.split_once('(').and_then(|(_, rest)| rest.split_once(")=("));
    match columns {
        Some((columns, _)) => {
            let columns = columns.split(", ").map(|column| format!("{table}.{}", column.trim_matches('"')));
            columns.collect::<Vec<_>>().join(", ")
        }
        None => error.constraint().unwrap_or_default().to_owned(),
    }
}
