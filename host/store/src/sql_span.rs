//! The spans of a component's statements in its trace.
//!
//! They are named as OpenTelemetry's conventions for databases say. They contain
//! neither the statement nor its parameters.

use super::{Error, errors::kind};
use host_telemetry::Span;

/// Starts the spans of one component's statements.
#[derive(Clone, Copy)]
pub(crate) struct SqlTracer<'a> {
    /// The engine, by OpenTelemetry's name.
    pub(crate) system_name: &'static str,
    /// The component's name.
    pub(crate) component: &'a str,
    /// The trace that the statements belong to.
    pub(crate) traceparent: Option<&'a str>,
}

/// The span of one statement. It records nothing if no collector is configured.
pub(crate) struct SqlSpan(Option<Span>);

impl SqlTracer<'_> {
    /// Starts the span of an operation, such as `COMMIT`.
    pub(crate) fn start(self, operation: &'static str) -> SqlSpan {
        let span = Span::start_call(self.traceparent, || operation.to_owned()).map(|mut span| {
            span.set_attributes(|| {
                [
                    ("component", self.component.to_owned().into()),
                    ("db.system.name", self.system_name.into()),
                    ("db.namespace", self.component.to_owned().into()),
                    ("db.operation.name", operation.into()),
                ]
            });
            span
        });
        SqlSpan(span)
    }
}

impl SqlSpan {
    /// Ends the span with the result of the operation, and returns the result.
    pub(crate) fn end<T>(mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let (Some(span), Err(error)) = (&mut self.0, &result) {
            span.fail_with_type(kind(error));
        }
        result
    }
}

/// The operation of a statement: its first word.
pub(crate) fn operation_of(statement: &str) -> &'static str {
    let first = statement.trim_start().split(|character: char| !character.is_ascii_alphabetic()).next();
    let known = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"];
    first.and_then(|first| known.into_iter().find(|known| first.eq_ignore_ascii_case(known))).unwrap_or("OTHER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_is_the_first_word_of_the_statement() {
        assert_eq!(operation_of("select 1"), "SELECT");
        assert_eq!(operation_of("\n  INSERT INTO x VALUES ($1)"), "INSERT");
        assert_eq!(operation_of("WITH a AS (SELECT 1) SELECT * FROM a"), "WITH");
        for other in ["", "(SELECT 1)", "-- SELECT", "secret"] {
            assert_eq!(operation_of(other), "OTHER");
        }
    }
}
