//! The SQL that components may use: the part that SQLite and PostgreSQL share,
//! and that cannot leave the component's own tables.
//!
//! It lists what is allowed, so what nobody thought of is refused. The result
//! is the statement written back from the syntax tree, so nothing depends on
//! two parsers agreeing about what a text means. Everything here is a function
//! of its arguments; no database is needed.

mod expressions;
mod migration;
mod postgres;
#[cfg(any(test, feature = "testing"))]
pub mod samples;
mod statements;
mod tokens;

pub use migration::{Applied, Migration};

use host_base::Dialect;
use sqlparser::{ast::Statement, dialect::SQLiteDialect, parser::Parser};
use std::sync::Arc;

/// The longest statement.
pub const STATEMENT_BYTES: usize = 64 * 1024;
/// The most parameters of one statement.
pub const PARAMETERS: usize = 1_000;
/// The longest migration file.
pub const MIGRATION_BYTES: usize = 256 * 1024;

const NESTING_LEVELS: usize = 40;
const VERBS: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "CREATE", "ALTER", "DROP"];

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

/// Parses a migration without judging it.
///
/// # Errors
/// When it is too long or not understood.
pub fn parse_migration(text: &str) -> Result<Vec<Statement>, String> {
    if text.len() > MIGRATION_BYTES {
        return Err(format!("it is longer than {MIGRATION_BYTES} bytes"));
    }
    parse(text)
}

/// Judges a migration, and gives the statements to execute one after another
/// on this engine.
///
/// # Errors
/// Why it is not allowed.
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

/// Judges a component's statement, and gives what to execute on this engine.
///
/// # Errors
/// Why it is not allowed.
pub fn permit(dialect: Dialect, text: &str) -> Result<Permitted, String> {
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
mod tests;
