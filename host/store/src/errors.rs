//! Errors of the store, in words and as names.

use super::Error;

/// The error of SQLite when the disk is full or the file has its largest size.
pub(crate) const DISK_FULL: &str = "the disk or the component's database is full";

/// An error in words, for operators.
pub fn describe(error: &Error) -> String {
    match error {
        Error::Conflict => "another transaction was in the way".into(),
        Error::Timeout => "it took too long".into(),
        Error::Constraint(violation) => format!("the {:?} constraint {} refused it", violation.kind, violation.target),
        Error::Limit(text) | Error::Invalid(text) | Error::Unavailable(text) => text.clone(),
    }
}

/// The name of an error in WIT, for spans.
pub(crate) fn kind(error: &Error) -> &'static str {
    match error {
        Error::Conflict => "conflict",
        Error::Constraint(_) => "constraint",
        Error::Timeout => "timeout",
        Error::Limit(_) => "limit",
        Error::Invalid(_) => "invalid",
        Error::Unavailable(_) => "unavailable",
    }
}
