//! The gate that every statement of a component passes before it reaches the
//! database.
//!
//! `host-sql` decides which SQL is allowed. The gate caches each verdict, so it
//! parses a statement once and not on every call. Each database has its own
//! gate, so the statements of one component do not evict the verdicts of
//! another. A gate parses one statement at a time, so a component that sends
//! many new statements delays only itself.

use super::{Error, Value, pace::Pace, values::value_bytes};
use host_base::Dialect;
use host_sql::{PARAMETERS, Permitted, STATEMENT_BYTES, permit};
use moka::sync::Cache;
use std::{
    sync::{Arc, LazyLock},
    thread::available_parallelism,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most bytes of all parameters of one call.
const PARAMETER_BYTES: usize = 8 * 1024 * 1024;

const VERDICT_CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// Statements that all gates parse at the same time. They leave a processor to
/// other work. Each gate waits for one permit at most, so the gates take turns.
static PARSERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let processors = available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new((processors / 2).max(1)))
});

/// A statement that may be executed with its parameters.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The statement in the words of the engine.
    pub(crate) sql: Arc<str>,
    /// It changes nothing.
    pub(crate) reads_only: bool,
    /// That of its runs with all parameters.
    pub(crate) pace: Arc<Pace>,
}

/// What the gate knows about a statement that is allowed.
#[derive(Debug)]
struct Known {
    permitted: Permitted,
    pace: Arc<Pace>,
}

/// Refuses values that one engine stores and the other one does not, or stores
/// as another value.
fn check_value(number: usize, value: &Value) -> Result<(), Error> {
    match value {
        Value::Text(text) if text.contains('\0') => {
            Err(Error::Invalid(format!("the text in parameter ${number} contains U+0000")))
        }
        Value::Real(real) if !real.is_finite() => {
            Err(Error::Invalid(format!("the number in parameter ${number} is not finite")))
        }
        _ => Ok(()),
    }
}

/// Judges statements and caches the verdicts.
#[derive(Debug)]
pub(crate) struct Gate {
    dialect: Dialect,
    parser: Arc<Semaphore>,
    verdicts: Cache<Arc<str>, Result<Arc<Known>, Error>>,
}

impl Gate {
    /// The gate of a database of this engine.
    pub(crate) fn new(dialect: Dialect) -> Self {
        let weigh = |text: &Arc<str>, verdict: &Result<Arc<Known>, Error>| {
            let forms = verdict.as_ref().map_or(0, |known| known.permitted.bytes());
            u32::try_from(text.len().saturating_add(forms).saturating_add(200)).unwrap_or(u32::MAX)
        };
        let parser = Arc::new(Semaphore::new(1));
        Self { dialect, parser, verdicts: Cache::builder().weigher(weigh).max_capacity(VERDICT_CACHE_BYTES).build() }
    }

    /// Judges a statement and its parameters.
    ///
    /// # Errors
    /// [`Error::Limit`] if one of them is too large, [`Error::Invalid`] if the
    /// statement or a parameter is not allowed.
    pub(crate) async fn check(&self, statement: &str, parameters: &[Value]) -> Result<Checked, Error> {
        if parameters.len() > PARAMETERS {
            return Err(Error::Limit(format!("more than {PARAMETERS} parameters")));
        }
        let known = self.judge(statement).await?;
        let permitted = &known.permitted;
        if permitted.parameters != parameters.len() {
            return Err(Error::Invalid(format!(
                "the statement takes {} parameters, but {} were given",
                permitted.parameters,
                parameters.len()
            )));
        }
        if parameters.iter().map(value_bytes).sum::<usize>() > PARAMETER_BYTES {
            return Err(Error::Limit(format!("parameters of more than {PARAMETER_BYTES} bytes")));
        }
        parameters.iter().enumerate().try_for_each(|(index, value)| check_value(index + 1, value))?;
        let sql = permitted.sql(parameters.iter().map(value_bytes)).map_err(Error::Limit)?;
        Ok(Checked { sql: sql.clone(), reads_only: permitted.reads_only, pace: known.pace.clone() })
    }

    async fn judge(&self, statement: &str) -> Result<Arc<Known>, Error> {
        if statement.len() > STATEMENT_BYTES {
            return Err(Error::Limit(format!("a statement of more than {STATEMENT_BYTES} bytes")));
        }
        if let Some(verdict) = self.verdicts.get(statement) {
            return verdict;
        }
        let turns = (turn(&self.parser).await?, turn(&PARSERS).await?);
        let text: Arc<str> = statement.into();
        let (judged, dialect) = (text.clone(), self.dialect);
        let parse = move || {
            // The turns end with the parser, and not with a caller that leaves.
            let _turns = turns;
            permit(dialect, &judged)
        };
        // The parser needs more stack than a guest's fiber may have left, and
        // more time than an async thread may spend.
        let verdict = tokio::task::spawn_blocking(parse)
            .await
            .map_err(|_| Error::Invalid("the statement cannot be parsed".into()))?
            .map(|permitted| Arc::new(Known { permitted, pace: Arc::new(Pace::unknown()) }))
            .map_err(Error::Invalid);
        self.verdicts.insert(text, verdict.clone());
        verdict
    }
}

async fn turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
    turns.clone().acquire_owned().await.map_err(|_| Error::Unavailable("the host is shutting down".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_sql::VALUE_BYTES;

    #[tokio::test]
    async fn the_number_and_the_size_of_parameters_are_checked() {
        let gate = Gate::new(Dialect::Sqlite);
        assert!(gate.check("SELECT $1", &[Value::Integer(1)]).await.is_ok());
        assert!(matches!(gate.check("SELECT $1", &[]).await, Err(Error::Invalid(_))));
        assert!(matches!(gate.check("SELECT 1", &[Value::Null]).await, Err(Error::Invalid(_))));
        let big = |bytes: usize| Value::Blob(vec![0; bytes]);
        assert!(matches!(gate.check("SELECT $1", &[big(VALUE_BYTES + 1)]).await, Err(Error::Limit(_))));
        let insert = "INSERT INTO t (a, b, c, d, e) VALUES ($1, $2, $3, $4, $5)";
        let all: Vec<Value> = (0..5).map(|_| big(VALUE_BYTES)).collect();
        assert!(matches!(gate.check(insert, &all).await, Err(Error::Limit(_))), "more than {PARAMETER_BYTES} together");
        assert!(gate.judge(&format!("SELECT ${}", PARAMETERS + 1)).await.is_err());
        let many = vec![Value::Null; PARAMETERS + 1];
        assert!(matches!(gate.check("SELECT 1", &many).await, Err(Error::Limit(_))));
    }

    #[tokio::test]
    async fn a_statement_that_is_too_long_is_refused() {
        let long = format!("SELECT {}1", " ".repeat(STATEMENT_BYTES));
        assert!(matches!(Gate::new(Dialect::Sqlite).judge(&long).await, Err(Error::Limit(_))));
    }
}
