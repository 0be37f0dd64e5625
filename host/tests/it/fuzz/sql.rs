//! The gate of SQL: the statements that it accepts stay inside the component's
//! own tables when SQLite executes them, and end in time.
//!
//! SQLite itself says which tables a statement opens: `EXPLAIN` lists the
//! operations of its program.

use super::{cases, mutation::Corpus};
use futures::TryStreamExt;
use host_base::Dialect;
use host_sql::{
    Permitted, permit, permit_migration,
    samples::{ACCEPTED, COSTLY, REFUSED},
};
use rand::{RngExt, rngs::StdRng};
use sqlx::{AssertSqlSafe, Connection, Executor, Row, SqliteConnection};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

const SCHEMA: &str = "
    CREATE TABLE host_outbox (id TEXT, payload TEXT);
    INSERT INTO host_outbox VALUES ('secret', 'secret');
    CREATE TABLE things (id TEXT PRIMARY KEY, title TEXT, state TEXT, version BIGINT, at_ms BIGINT, amount BIGINT, n BIGINT, \"order\" TEXT);
    CREATE INDEX by_title ON things (title, n DESC);
    CREATE TABLE others (id TEXT, thing_id TEXT, title TEXT, b BLOB);
    CREATE TABLE big (id TEXT PRIMARY KEY, t TEXT, u TEXT, n BIGINT, d DOUBLE PRECISION);
    INSERT INTO things VALUES ('a', 'one', 'created', 0, 1, 10, 1, ''), ('b', 'two', 'done', 1, 2, 20, 2, NULL), ('c', NULL, '', 2, 3, 0, 3, 'x');
    INSERT INTO others VALUES ('a', 'b', 'one', x'00ff'), ('d', 'a', 'two', NULL);
    INSERT INTO big VALUES ('1', 'aaaa', 'a', 1, 1.5), ('2', 'bbbb', '', -9223372036854775808, 1e308);";
const WORDS: &[&str] = &[
    "id",
    "title",
    "n",
    "t.id",
    "things.title",
    "lower(title)",
    "(SELECT max(n) FROM things)",
    "count(*)",
    "1",
    "''",
    "id, title",
    "AND id = $1",
    "OR 1",
    "IN (SELECT id FROM others)",
    "NOT",
    "IS NULL",
    "DESC",
    "LIMIT 1",
    "SELECT",
    "FROM",
    "WHERE",
    "WITH",
    "RECURSIVE",
    "AS",
    "(",
    ")",
    ",",
    ";",
    "--",
    "/*",
    "*/",
    "'",
    "\"",
    "`",
    "[",
    "]",
    "$1",
    "$2",
    "$0",
    "$1000",
    "?",
    ":a",
    "@a",
    "NULL",
    "*",
    "things",
    "others",
    "big",
    "host_outbox",
    "sqlite_master",
    "sqlite_schema",
    "main.",
    "temp.",
    "rowid",
    "_rowid_",
    "oid",
    "ctid",
    "PRAGMA table_info(things)",
    "ATTACH DATABASE 'x' AS y",
    "VACUUM",
    "load_extension('x')",
    "pragma_table_list",
    "json_each('[]')",
    "randomblob(9)",
    "COLLATE nocase",
    "UNION ALL",
    "EXCEPT",
    "VALUES (1)",
    "EXISTS",
    "INDEXED BY by_title",
    "OVER (ORDER BY 1)",
    "FILTER (WHERE 1)",
    "LIKE",
    "ESCAPE '!'",
    "GLOB",
    "REGEXP",
    "MATCH",
    "->>",
    "||",
    "<<",
    "~",
    "CAST(",
    "CASE WHEN",
    "END",
    "RETURNING *",
    "ON CONFLICT DO NOTHING",
    "OR REPLACE",
    "LEFT JOIN",
    "NATURAL JOIN",
    "USING (id)",
    "LATERAL",
    "9223372036854775808",
    "1e999",
    "0x10",
    "x'00'",
    "E'\\''",
    "U&'a'",
    "$$a$$",
    "\u{0}",
    "\u{a0}",
    "CREATE TRIGGER t",
    "CREATE VIEW v AS",
    "CREATE TABLE t (a TEXT)",
    "REFERENCES things (id)",
    "DEFAULT",
    "CHECK (",
    "GENERATED ALWAYS AS (1)",
    "DROP TABLE",
    "ALTER TABLE things RENAME TO host_x",
];
/// No accepted statement needs these operations of SQLite.
const FORBIDDEN: &[&str] = &[
    "AutoCommit",
    "Savepoint",
    "Vacuum",
    "JournalMode",
    "Checkpoint",
    "IncrVacuum",
    "MaxPgcnt",
    "Pagecount",
    "ReadCookie",
    "SetCookie",
    "ParseSchema",
    "LoadAnalysis",
    "CreateBtree",
    "Destroy",
    "DropTable",
    "DropIndex",
    "DropTrigger",
    "IntegrityCk",
    "VCreate",
    "VDestroy",
    "VOpen",
    "VUpdate",
    "VFilter",
    "VRename",
    "SqlExec",
];
const FORBIDDEN_FUNCTIONS: &[&str] =
    &["sqlite_attach", "sqlite_detach", "load_extension", "readfile", "writefile", "fts"];
const MOST_ROWS: usize = 10_000;
/// The time after which SQLite interrupts a statement.
const DEADLINE: Duration = Duration::from_millis(500);

/// A component's database, and the pages at which its own tables begin.
struct Database {
    connection: SqliteConnection,
    own_pages: BTreeSet<i64>,
}

impl Database {
    async fn open() -> Self {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        connection.execute(SCHEMA).await.unwrap();
        let own = "SELECT rootpage FROM sqlite_master WHERE tbl_name NOT LIKE 'host%'";
        let own_pages = sqlx::query_scalar(own).fetch_all(&mut connection).await.unwrap().into_iter().collect();
        Self { connection, own_pages }
    }

    /// The operations of a statement that leave the component's own tables. None
    /// if SQLite refuses the statement.
    async fn escapes(&mut self, statement: &str) -> Option<Vec<String>> {
        let explain = AssertSqlSafe(format!("EXPLAIN {statement}"));
        let operations = sqlx::raw_sql(explain).fetch_all(&mut self.connection).await.ok()?;
        let escape = |row: &sqlx::sqlite::SqliteRow| {
            let (operation, page, database): (String, i64, i64) = (row.get(1), row.get(3), row.get(4));
            let target: String = row.try_get(5).unwrap_or_default();
            let opens = ["OpenRead", "OpenWrite", "ReopenIdx", "Clear"].contains(&operation.as_str());
            let elsewhere = match operation.as_str() {
                "Clear" => !self.own_pages.contains(&row.get(2)),
                _ => database != 0 || !self.own_pages.contains(&page),
            };
            let forbidden = FORBIDDEN.contains(&operation.as_str());
            let calls = FORBIDDEN_FUNCTIONS.iter().any(|name| target.starts_with(name));
            ((opens && elsewhere) || forbidden || calls).then(|| format!("{operation} {page} {database} {target}"))
        };
        Some(operations.iter().filter_map(escape).collect())
    }

    /// Executes a statement and undoes it. Checks that the tables of the host are
    /// as they were.
    async fn execute(&mut self, statement: &str, parameters: &[String]) {
        self.connection.execute("BEGIN").await.unwrap();
        let end = Instant::now() + DEADLINE;
        self.connection.lock_handle().await.unwrap().set_progress_handler(50, move || Instant::now() < end);
        let statement = AssertSqlSafe(statement.to_owned());
        let query = parameters.iter().fold(sqlx::query(statement), |query, text| query.bind(text));
        let mut rows = query.fetch(&mut self.connection);
        let mut count = 0;
        while count < MOST_ROWS && matches!(rows.try_next().await, Ok(Some(_))) {
            count += 1;
        }
        drop(rows);
        self.connection.lock_handle().await.unwrap().remove_progress_handler();
        self.is_untouched().await;
        self.connection.execute("ROLLBACK").await.unwrap();
    }

    async fn is_untouched(&mut self) {
        let secret = "SELECT count(*), min(id), max(payload) FROM host_outbox";
        let secret: (i64, String, String) = sqlx::query_as(secret).fetch_one(&mut self.connection).await.unwrap();
        assert_eq!(secret, (1, "secret".to_owned(), "secret".to_owned()));
        let odd = "SELECT (SELECT count(*) FROM sqlite_master WHERE type NOT IN ('table', 'index')) \
                   + (SELECT count(*) FROM pragma_database_list WHERE name <> 'main') \
                   + (SELECT count(*) FROM sqlite_master WHERE name LIKE 'host%' AND name <> 'host_outbox')";
        let odd: i64 = sqlx::query_scalar(odd).fetch_one(&mut self.connection).await.unwrap();
        assert_eq!(odd, 0);
    }
}

/// Values for the parameters, and what to execute with them.
fn with_parameters<'a>(random: &mut StdRng, permitted: &'a Permitted) -> Option<(&'a str, Vec<String>)> {
    let text =
        |random: &mut StdRng| ["", "a", "%", "0", "9223372036854775807", "a%_!'\u{e9}"][random.random_range(0..6)];
    // The host refuses a call with much more than that.
    let most = 1_000_000 / permitted.parameters.max(1);
    let times = [1, 1, 1, 3, 1_000, 100_000][random.random_range(0..6)].min(most);
    let parameters: Vec<String> = (0..permitted.parameters).map(|_| text(random).repeat(times)).collect();
    let sql = permitted.sql(parameters.iter().map(String::len)).ok()?;
    Some((sql, parameters))
}

fn statements() -> Corpus {
    let samples =
        ACCEPTED.iter().chain(REFUSED.iter().map(|(text, _)| text)).chain(COSTLY.iter().map(|(text, _)| text));
    // The gate refuses a statement after many changes, so most inputs are good statements.
    let good = (0..20).flat_map(|_| ACCEPTED).chain((0..3).flat_map(|_| COSTLY.iter().map(|(text, _)| text)));
    Corpus::new(samples.chain(good).copied(), WORDS)
}

#[tokio::test]
async fn an_accepted_statement_stays_in_the_components_tables_and_ends() {
    let (corpus, mut database) = (statements(), Database::open().await);
    let (mut accepted, mut executed) = (0, 0);
    for mut case in cases(3_000) {
        let text = corpus.mutated_text(&mut case.random);
        let begun = Instant::now();
        let (on_sqlite, on_postgres) = (permit(Dialect::Sqlite, &text), permit(Dialect::Postgres, &text));
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}: {text}", begun.elapsed());
        assert_eq!(on_sqlite.is_ok(), on_postgres.is_ok(), "the engines disagree: {text}");
        let Ok(permitted) = on_sqlite else { continue };
        accepted += 1;
        let Some((sql, parameters)) = with_parameters(&mut case.random, &permitted) else { continue };
        let Some(escapes) = database.escapes(sql).await else { continue };
        assert!(escapes.is_empty(), "{escapes:?}: {text}\n{sql}");
        let writes = !permitted.reads_only;
        assert!(writes || !["INSERT", "UPDATE", "DELETE"].iter().any(|verb| sql.starts_with(verb)), "{text}");
        let begun = Instant::now();
        database.execute(sql, &parameters).await;
        assert!(begun.elapsed() < DEADLINE + Duration::from_secs(2), "{:?}: {text}", begun.elapsed());
        executed += 1;
    }
    eprintln!("{accepted} statements were accepted, {executed} were executed");
}

/// The migrations of the bundled components.
fn migrations() -> Vec<String> {
    let components = Path::new(env!("CARGO_MANIFEST_DIR")).join("../components");
    let folders = fs::read_dir(components).unwrap().map(|entry| entry.unwrap().path().join("migrations"));
    let files = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let texts: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert!(texts.len() > 3, "the migrations are elsewhere");
    texts
}

#[tokio::test]
async fn an_accepted_migration_makes_tables_and_indexes_of_the_component_alone() {
    let corpus = Corpus::new(migrations(), WORDS);
    let mut database = Database::open().await;
    let mut accepted = 0;
    for mut case in cases(1_000) {
        let text = corpus.mutated_text(&mut case.random);
        let (on_sqlite, on_postgres) =
            (permit_migration(Dialect::Sqlite, &text), permit_migration(Dialect::Postgres, &text));
        assert_eq!(on_sqlite.is_ok(), on_postgres.is_ok(), "the engines disagree: {text}");
        let Ok(migration) = on_sqlite else { continue };
        database.connection.execute("BEGIN").await.unwrap();
        for statement in migration {
            let _ = database.connection.execute(AssertSqlSafe(statement)).await;
        }
        database.is_untouched().await;
        database.connection.execute("ROLLBACK").await.unwrap();
        accepted += 1;
    }
    eprintln!("{accepted} migrations were accepted");
}
