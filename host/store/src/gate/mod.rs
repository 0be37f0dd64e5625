//! The gate that every statement of a component passes: what gets through is
//! the part of SQL that SQLite and PostgreSQL share, and that cannot leave the
//! component's own tables.
//!
//! It lists what is allowed, so what nobody thought of is refused. What is
//! executed is the statement as written back from the syntax tree, so nothing
//! depends on two parsers agreeing about what a text means. A verdict is kept
//! per text: a statement is parsed once, not on every call. One gate lives as
//! long as its database, so components do not push out each other's verdicts.

mod expressions;
mod postgres;
mod statements;
mod tokens;

use super::{Error, Value};
use host_database::Dialect;
use moka::sync::Cache;
use sqlparser::{ast::Statement, dialect::SQLiteDialect, parser::Parser};
use std::sync::Arc;

/// The longest statement.
pub const STATEMENT_BYTES: usize = 64 * 1024;
/// The most parameters of one statement.
pub const PARAMETERS: usize = 1_000;
/// All parameters of one call together.
pub const PARAMETER_BYTES: usize = 8 * 1024 * 1024;
/// The longest migration file.
pub const MIGRATION_BYTES: usize = 256 * 1024;

const VERDICT_CACHE_BYTES: u64 = 4 * 1024 * 1024;
const NESTING_LEVELS: usize = 40;
const VERBS: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "CREATE", "ALTER", "DROP"];

/// Judges statements and remembers its verdicts.
#[derive(Debug)]
pub struct Gate {
    dialect: Dialect,
    verdicts: Cache<Arc<str>, Result<Arc<Permitted>, Error>>,
}

/// A statement that may be executed.
#[derive(Debug)]
pub struct Permitted {
    /// What to execute: the statement written back from its syntax tree, in
    /// the words of the engine.
    pub sql: Arc<str>,
    /// How many parameters it takes.
    pub parameters: usize,
    /// It changes nothing.
    pub reads_only: bool,
}

impl Gate {
    /// A gate before a database of this engine.
    pub fn new(dialect: Dialect) -> Self {
        let weigh = |text: &Arc<str>, _: &Result<Arc<Permitted>, Error>| {
            u32::try_from(text.len().saturating_mul(2).saturating_add(200)).unwrap_or(u32::MAX)
        };
        Self { dialect, verdicts: Cache::builder().weigher(weigh).max_capacity(VERDICT_CACHE_BYTES).build() }
    }

    /// Judges a statement and the parameters that go with it.
    pub async fn check(&self, statement: &str, parameters: &[Value]) -> Result<Arc<Permitted>, Error> {
        if parameters.len() > PARAMETERS {
            return Err(Error::Limit(format!("more than {PARAMETERS} parameters")));
        }
        let permitted = self.judge(statement).await?;
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
        Ok(permitted)
    }

    async fn judge(&self, statement: &str) -> Result<Arc<Permitted>, Error> {
        if statement.len() > STATEMENT_BYTES {
            return Err(Error::Limit(format!("a statement of more than {STATEMENT_BYTES} bytes")));
        }
        if let Some(verdict) = self.verdicts.get(statement) {
            return verdict;
        }
        let text: Arc<str> = statement.into();
        let (judged, dialect) = (text.clone(), self.dialect);
        // A thread of its own: a parser wants more stack than a guest's fiber
        // may have left, and more time than an async thread should give.
        let verdict = tokio::task::spawn_blocking(move || permit(dialect, &judged))
            .await
            .map_err(|_| Error::Invalid("the statement cannot be parsed".into()))?
            .map(Arc::new)
            .map_err(Error::Invalid);
        self.verdicts.insert(text, verdict.clone());
        verdict
    }
}

/// The bytes that a value takes on its way to or from the database.
pub fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null => 1,
        Value::Integer(_) | Value::Real(_) => 8,
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
    }
}

/// Parses a migration without judging it.
pub fn parse_migration(text: &str) -> Result<Vec<Statement>, String> {
    if text.len() > MIGRATION_BYTES {
        return Err(format!("it is longer than {MIGRATION_BYTES} bytes"));
    }
    parse(text)
}

/// Judges a migration, and gives the statements to execute one after another
/// on this engine.
pub fn permit_migration(dialect: Dialect, text: &str) -> Result<Vec<String>, String> {
    let statements = parse_migration(text)?;
    statements
        .iter()
        .map(|statement| {
            statements::check_migration(statement)?;
            if expressions::check(statement)? > 0 {
                return Err("a migration has no parameters".to_owned());
            }
            render(dialect, statement)
        })
        .collect()
}

fn permit(dialect: Dialect, text: &str) -> Result<Permitted, String> {
    let statements = parse(text)?;
    let [statement] = statements.as_slice() else {
        return Err(format!("exactly one statement is allowed in a call, not {}", statements.len()));
    };
    let reads_only = statements::check_guest(statement)?;
    let parameters = expressions::check(statement)?;
    if parameters > PARAMETERS {
        return Err(format!("more than {PARAMETERS} parameters"));
    }
    Ok(Permitted { sql: render(dialect, statement)?.into(), parameters, reads_only })
}

fn parse(text: &str) -> Result<Vec<Statement>, String> {
    let dialect = SQLiteDialect {};
    let tokens = tokens::check(&dialect, text)?;
    let verb = tokens::verb(&tokens);
    Parser::new(&dialect).with_recursion_limit(NESTING_LEVELS).with_tokens(tokens).parse_statements().map_err(|error| {
        match verb {
            Some(verb) if !VERBS.contains(&verb.as_str()) => format!("{verb} is not allowed here"),
            _ => format!("not a statement that is understood here: {error}"),
        }
    })
}

/// Writes a statement back, and makes sure that what is written means what
/// was judged.
fn render(dialect: Dialect, statement: &Statement) -> Result<String, String> {
    let text = statement.to_string();
    match parse(&text)?.as_slice() {
        [same] if same == statement => Ok(match dialect {
            Dialect::Sqlite => text,
            Dialect::Postgres => postgres::translate(statement),
        }),
        _ => Err("not a statement that can be written in one way only".to_owned()),
    }
}

#[cfg(test)]
pub(super) mod tests;
