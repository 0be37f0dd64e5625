//! The errors of PostgreSQL as errors for a component.

use crate::{ConstraintKind, Error, Violation};
use host_database::connections::{ends_session, only_reads};
use sqlx::postgres::PgDatabaseError;

/// The failure of a statement.
#[derive(Debug)]
pub(super) struct Failure {
    /// The error for the component.
    pub(super) error: Error,
    /// Whether the transaction cannot continue.
    pub(super) ends_transaction: bool,
    /// The preparation with which another attempt may succeed.
    pub(super) recovery: Option<Recovery>,
}

/// What another attempt at a statement needs first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// The types of the parameters have to be declared.
    DeclareTypes,
    /// The tables have changed, so the statement has to be prepared again.
    PrepareAgain,
    /// The connection is lost, and the statement had no effect.
    Reconnect,
    /// The server or the session only reads, and the statement had no effect.
    LeaveReader,
}

impl Recovery {
    /// Whether the connection must not be used again.
    pub(super) fn discards_connection(self) -> bool {
        matches!(self, Self::Reconnect | Self::LeaveReader)
    }
}

impl Failure {
    /// A failure of the statement alone. The transaction continues without it.
    pub(super) fn statement(error: Error) -> Self {
        Self { error, ends_transaction: false, recovery: None }
    }

    /// A failure that ends the transaction.
    pub(super) fn transaction(error: Error) -> Self {
        Self { error, ends_transaction: true, recovery: None }
    }

    /// The error for the component of an error of the driver.
    pub(super) fn error_of(error: sqlx::Error) -> Error {
        Self::from(error).error
    }

    /// The server did not answer in time.
    pub(super) fn no_answer() -> Self {
        unavailable("the database server does not answer").with(Recovery::Reconnect)
    }

    /// The server takes no writes.
    pub(super) fn only_reads() -> Self {
        unavailable("the database server only reads").with(Recovery::LeaveReader)
    }

    /// The connection leads to a session that was not set up.
    pub(super) fn other_session() -> Self {
        unavailable("a pooler between the host and the database has changed the session, it must keep sessions")
            .with(Recovery::LeaveReader)
    }

    /// Whether the connection must not be used again.
    pub(super) fn discards_connection(&self) -> bool {
        self.recovery.is_some_and(Recovery::discards_connection)
    }

    pub(super) fn into_error(self) -> Error {
        self.error
    }

    fn with(self, recovery: Recovery) -> Self {
        Self { recovery: Some(recovery), ..self }
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
                _ => Self::transaction(Error::Unavailable(error.to_string())).with(Recovery::Reconnect),
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
        // The statement or its wait for a lock took too long.
        "57014" | "55P03" => Failure::transaction(Error::Timeout),
        // The statement does not determine the type of a parameter.
        "42P18" => Failure::statement(Error::Invalid(message.to_owned())).with(Recovery::DeclareTypes),
        "0A000" if message.contains("cached plan") => {
            Failure::statement(Error::Invalid(message.to_owned())).with(Recovery::PrepareAgain)
        }
        // The prepared statement does not exist any more.
        "26000" => Failure::statement(Error::Invalid(message.to_owned())).with(Recovery::PrepareAgain),
        // Limits of PostgreSQL, such as a value of at most one gigabyte.
        "54000" | "54001" | "22P07" => {
            Failure::statement(Error::Limit("a value or statement of too many bytes".into()))
        }
        code if ends_session(code) => unavailable(message).with(Recovery::Reconnect),
        code if only_reads(code) => unavailable(message).with(Recovery::LeaveReader),
        // Too little memory, disk space or connections.
        code if code.starts_with("53") => unavailable(message),
        // Wrong data or syntax, missing rights, unknown features.
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

/// The columns of a unique constraint, as `things.a, things.b`. The detail of
/// the error has them in parentheses, before their values.
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
