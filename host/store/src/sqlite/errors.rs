//! The errors of SQLite as errors for a component.

use crate::{ConstraintKind, Error, Violation, errors::DISK_FULL};

/// The failure of a statement.
#[derive(Debug)]
pub(super) struct Failure {
    /// The error for the component.
    pub(super) error: Error,
    /// Whether the transaction cannot continue, because SQLite may have rolled
    /// it back.
    pub(super) ends_transaction: bool,
}

// https://www.sqlite.org/rescode.html
const SQLITE_ERROR: i32 = 1;
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_READONLY: i32 = 8;
const SQLITE_INTERRUPT: i32 = 9;
const SQLITE_FULL: i32 = 13;
const SQLITE_SCHEMA: i32 = 17;
const SQLITE_TOOBIG: i32 = 18;
const SQLITE_CONSTRAINT: i32 = 19;
const SQLITE_MISMATCH: i32 = 20;
const SQLITE_RANGE: i32 = 25;
const SQLITE_CONSTRAINT_CHECK: i32 = 275;
const SQLITE_CONSTRAINT_FOREIGNKEY: i32 = 787;
const SQLITE_CONSTRAINT_NOTNULL: i32 = 1_299;
const SQLITE_CONSTRAINT_PRIMARYKEY: i32 = 1_555;
const SQLITE_CONSTRAINT_UNIQUE: i32 = 2_067;
const SQLITE_CONSTRAINT_ROWID: i32 = 2_579;

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(failure, message) => {
                let message = message.clone().unwrap_or_else(|| failure.to_string());
                Self::of_code(failure.extended_code, &message)
            }
            _ => Self::transaction(Error::Unavailable(error.to_string())),
        }
    }
}

impl Failure {
    fn of_code(code: i32, message: &str) -> Self {
        match code & 0xff {
            SQLITE_CONSTRAINT => Self::statement(constraint(code, message)),
            SQLITE_ERROR | SQLITE_MISMATCH | SQLITE_RANGE | SQLITE_READONLY => {
                Self::statement(Error::Invalid(message.to_owned()))
            }
            SQLITE_TOOBIG => Self::statement(Error::Limit("a value or statement of too many bytes".into())),
            SQLITE_INTERRUPT => Self::transaction(Error::Timeout),
            SQLITE_BUSY | SQLITE_LOCKED | SQLITE_SCHEMA => Self::transaction(Error::Conflict),
            SQLITE_FULL => Self::transaction(Error::Unavailable(DISK_FULL.into())),
            _ => Self::transaction(Error::Unavailable(format!("{message} (SQLite code {code})"))),
        }
    }

    /// A failure of the statement alone. The transaction continues without it.
    pub(super) fn statement(error: Error) -> Self {
        Self { error, ends_transaction: false }
    }

    /// A failure that ends the transaction.
    pub(super) fn transaction(error: Error) -> Self {
        Self { error, ends_transaction: true }
    }

    pub(super) fn into_error(self) -> Error {
        self.error
    }
}

/// SQLite's message names the columns or the constraint after the colon.
fn constraint(code: i32, message: &str) -> Error {
    let kind = match code {
        SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_ROWID => ConstraintKind::Unique,
        SQLITE_CONSTRAINT_FOREIGNKEY => ConstraintKind::ForeignKey,
        SQLITE_CONSTRAINT_NOTNULL => ConstraintKind::NotNull,
        SQLITE_CONSTRAINT_CHECK => ConstraintKind::Check,
        _ => return Error::Invalid(message.to_owned()),
    };
    let target = message.split_once(": ").map(|(_, target)| target.to_owned()).unwrap_or_default();
    Error::Constraint(Violation { kind, target })
}
