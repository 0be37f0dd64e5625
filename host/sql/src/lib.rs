//! The SQL that components may use: the part that SQLite and PostgreSQL share,
//! and that cannot leave the component's own tables.
//!
//! It lists what is allowed, so what nobody thought of is refused. The result
//! is the statement written back from the syntax tree, so nothing depends on
//! two parsers agreeing about what a text means. Everything here is a function
//! of its arguments; no database is needed.

mod cost;
mod expressions;
mod guards;
mod migration;
mod postgres;
#[cfg(any(test, feature = "testing"))]
pub mod samples;
mod statements;
mod tokens;

pub use cost::VALUE_BYTES;
pub use migration::{Applied, Migration};

use cost::Bounds;
use host_base::Dialect;
use sqlparser::{ast::Statement, dialect::SQLiteDialect, parser::Parser};
use std::{collections::BTreeSet, sync::Arc};

/// The longest statement.
pub const STATEMENT_BYTES: usize = 64 * 1024;
/// The most parameters of one statement.
pub const PARAMETERS: usize = 1_000;
/// The longest migration file.
pub const MIGRATION_BYTES: usize = 256 * 1024;

/// The most words and signs of a statement, so that it is parsed in a few
/// milliseconds.
const TOKENS: usize = 10_000;
/// The most words and signs of a migration.
const MIGRATION_TOKENS: usize = 100_000;
const NESTING_LEVELS: usize = 40;
const VERBS: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "CREATE", "ALTER", "DROP"];

/// A statement that may be executed.
#[derive(Debug)]
pub struct Permitted {
    /// How many parameters it takes.
    pub parameters: usize,
    /// It changes nothing.
    pub reads_only: bool,
    /// The statement in the words of the engine. The first one suits short
    /// parameters. Each further one allows longer parameters and checks its
    /// columns.
    forms: Vec<Form>,
    /// The parameters inside functions whose time is a product of two lengths.
    patterns: BTreeSet<usize>,
}

/// What to execute: the statement written back from its syntax tree, and the
/// parameters with which it is cheap enough.
#[derive(Debug)]
struct Form {
    sql: Arc<str>,
    bounds: Bounds,
}

impl Permitted {
    /// The bytes of all that can be executed.
    pub fn bytes(&self) -> usize {
        self.forms.iter().map(|form| form.sql.len()).sum()
    }

    /// What to execute with parameters of these sizes, in the order of their
    /// numbers.
    ///
    /// # Errors
    /// Names the bytes that a parameter may have.
    pub fn sql(&self, parameter_bytes: impl Iterator<Item = usize> + Clone) -> Result<&Arc<str>, String> {
        let allows = |form: &&Form| {
            parameter_bytes.clone().enumerate().all(|(index, bytes)| bytes as u64 <= self.most_bytes(form, index + 1))
        };
        match self.forms.iter().find(allows) {
            Some(form) => Ok(&form.sql),
            None => Err(self.describe_limits()),
        }
    }

    fn most_bytes(&self, form: &Form, number: usize) -> u64 {
        if self.patterns.contains(&number) { form.bounds.pattern } else { form.bounds.parameter }
    }

    fn describe_limits(&self) -> String {
        let most = |bytes: fn(&Bounds) -> u64| self.forms.iter().map(|form| bytes(&form.bounds)).max().unwrap_or(0);
        let (parameter, pattern) = (most(|bounds| bounds.parameter), most(|bounds| bounds.pattern));
        match self.patterns.is_empty() {
            true => format!("a parameter of more than {parameter} bytes in this statement"),
            false => format!(
                "a parameter of more than {parameter} bytes in this statement, or of more than {pattern} bytes in LIKE, replace, trim, * or /"
            ),
        }
    }
}

/// Parses a migration without judging it.
///
/// # Errors
/// When it is too long or not understood.
pub fn parse_migration(text: &str) -> Result<Vec<Statement>, String> {
    if text.len() > MIGRATION_BYTES {
        return Err(format!("it is longer than {MIGRATION_BYTES} bytes"));
    }
    parse(text, MIGRATION_TOKENS)
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
            check_unambiguous(statement)?;
            let bounds = cost::bounds(statement, &BTreeSet::new())?;
            let bounds = bounds.first().ok_or("it costs too much")?;
            Ok(render(dialect, statement, bounds))
        })
        .collect()
}

/// Judges a component's statement, and gives what to execute on this engine.
///
/// # Errors
/// Why it is not allowed.
pub fn permit(dialect: Dialect, text: &str) -> Result<Permitted, String> {
    let statements = parse(text, TOKENS)?;
    let [statement] = statements.as_slice() else {
        return Err(format!("exactly one statement is allowed in a call, not {}", statements.len()));
    };
    let reads_only = statements::check_guest(statement)?;
    let parameters = expressions::check(statement)?;
    if parameters > PARAMETERS {
        return Err(format!("more than {PARAMETERS} parameters"));
    }
    check_unambiguous(statement)?;
    let patterns = cost::patterns(statement);
    let forms = cost::bounds(statement, &patterns)?
        .into_iter()
        .map(|bounds| Form { sql: render(dialect, statement, &bounds).into(), bounds })
        .collect();
    Ok(Permitted { parameters, reads_only, forms, patterns })
}

fn parse(text: &str, most_tokens: usize) -> Result<Vec<Statement>, String> {
    let dialect = SQLiteDialect {};
    let tokens = tokens::check(&dialect, text, most_tokens)?;
    let verb = tokens::verb(&tokens);
    Parser::new(&dialect).with_recursion_limit(NESTING_LEVELS).with_tokens(tokens).parse_statements().map_err(|error| {
        match verb {
            Some(verb) if !VERBS.contains(&verb.as_str()) => format!("{verb} is not allowed here"),
            _ => format!("not a statement that is understood here: {error}"),
        }
    })
}

/// Makes sure that a statement, written back, means what was judged.
fn check_unambiguous(statement: &Statement) -> Result<(), String> {
    match parse(&statement.to_string(), MIGRATION_TOKENS)?.as_slice() {
        [same] if same == statement => Ok(()),
        _ => Err("not a statement that can be written in one way only".to_owned()),
    }
}

/// Writes a statement back in the words of the engine, with the checks of its
/// bounds.
fn render(dialect: Dialect, statement: &Statement, bounds: &Bounds) -> String {
    let guarded = bounds.checks_columns().then(|| guards::guarded(dialect, statement, bounds.column));
    match dialect {
        Dialect::Sqlite => guards::without_shortcuts(guarded.unwrap_or_else(|| statement.clone())).to_string(),
        Dialect::Postgres => postgres::translate(guarded.as_ref().unwrap_or(statement)),
    }
}

#[cfg(test)]
mod tests;
