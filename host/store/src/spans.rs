//! A component's statements as steps of its trace, when somebody records it.
//! They are named as OpenTelemetry's conventions for databases say, and bear
//! neither the statement nor what is put into it.

use super::{Database, Error};
use host_telemetry::Span;

/// Where operations of a component are in its trace.
#[derive(Clone, Copy)]
pub struct Operations<'a> {
    /// The database that they run in.
    pub database: &'a dyn Database,
    /// Whose it is.
    pub component: &'a str,
    /// The trace that they belong to.
    pub traceparent: Option<&'a str>,
}

/// One operation of a component's database.
pub struct Operation(Option<Span>);

impl Operations<'_> {
    /// Begins one by its name, such as `COMMIT`.
    pub fn begin(self, name: &'static str) -> Operation {
        let span = Span::start_call(self.traceparent, || name.to_owned()).map(|mut span| {
            span.set_attributes(|| {
                [
                    ("component", self.component.to_owned().into()),
                    ("db.system.name", self.database.system().into()),
                    ("db.namespace", self.component.to_owned().into()),
                    ("db.operation.name", name.into()),
                ]
            });
            span
        });
        Operation(span)
    }
}

impl Operation {
    /// Ends it as the work has ended.
    ///
    /// # Errors
    /// The error that it is given.
    pub fn end<T>(mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let (Some(span), Err(error)) = (&mut self.0, &outcome) {
            span.fail_with_type(kind(error));
        }
        outcome
    }
}

/// What a statement does, by its first word.
pub(super) fn verb(statement: &str) -> &'static str {
    let first = statement.trim_start().split(|character: char| !character.is_ascii_alphabetic()).next();
    let known = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"];
    first.and_then(|first| known.into_iter().find(|known| first.eq_ignore_ascii_case(known))).unwrap_or("OTHER")
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Conflict => "conflict",
        Error::Constraint(_) => "constraint",
        Error::Timeout => "timeout",
        Error::Limit(_) => "limit",
        Error::Invalid(_) => "invalid",
        Error::Unavailable(_) => "unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_by_what_it_does() {
        assert_eq!(verb("select 1"), "SELECT");
        assert_eq!(verb("\n  INSERT INTO x VALUES ($1)"), "INSERT");
        assert_eq!(verb("WITH a AS (SELECT 1) SELECT * FROM a"), "WITH");
        for other in ["", "(SELECT 1)", "-- SELECT", "secret"] {
            assert_eq!(verb(other), "OTHER");
        }
    }
}
