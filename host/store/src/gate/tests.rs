use super::*;
use host_database::Dialect;

pub(crate) const ACCEPTED: &[&str] = &[
    "SELECT 1",
    "select id, \"order\" from things where id = $1 and state in ('created', 'awaiting:payment') order by id desc limit $2 offset 3",
    "SELECT t.*, count(*) AS n FROM things AS t LEFT JOIN others o ON o.thing_id = t.id WHERE lower(t.title) LIKE lower($1) GROUP BY t.id HAVING count(*) > 1",
    "WITH recent AS (SELECT * FROM things WHERE at_ms > $1) SELECT * FROM recent UNION ALL SELECT * FROM things",
    "INSERT INTO things (id, title, version) VALUES ($1, $2, 0), ($3, $4, 1) ON CONFLICT (id) DO UPDATE SET title = excluded.title WHERE things.version < excluded.version RETURNING id, version",
    "INSERT INTO things (id, state) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    "INSERT INTO things (id) SELECT id FROM others WHERE NOT EXISTS (SELECT 1 FROM things WHERE things.id = others.id)",
    "UPDATE things SET version = version + 1, title = CASE WHEN title IS NULL THEN '-' ELSE trim(title) END WHERE id = $1 AND version = $2 RETURNING *",
    "DELETE FROM things WHERE id = $1 RETURNING id;",
    "SELECT cast(sum(amount) AS BIGINT), coalesce(max(substr(title, 1, 3)), ''), -1.5, NULL, TRUE FROM things -- why\n",
    "SELECT id FROM things WHERE (at_ms, id) < ($1, $2) ORDER BY at_ms DESC, id DESC",
    "SELECT row_number() OVER (PARTITION BY title ORDER BY id) FROM things",
    "SELECT DISTINCT title || 'x' FROM things WHERE id BETWEEN $1 AND $2 AND title NOT LIKE '%a%' ESCAPE '!'",
    "UPDATE things SET title = o.title FROM others AS o WHERE o.id = things.id",
];

pub(crate) const REFUSED: &[(&str, &str)] = &[
    ("ATTACH DATABASE 'x.db' AS other", "ATTACH is not allowed here"),
    ("PRAGMA journal_mode = DELETE", "PRAGMA is not allowed here"),
    ("VACUUM INTO 'x.db'", "VACUUM is not allowed here"),
    ("BEGIN", "BEGIN is not allowed here"),
    ("COMMIT", "COMMIT is not allowed here"),
    ("ROLLBACK", "ROLLBACK is not allowed here"),
    ("SAVEPOINT host", "SAVEPOINT is not allowed here"),
    ("RELEASE SAVEPOINT host", "RELEASE is not allowed here"),
    ("COPY things TO '/tmp/x'", "COPY is not allowed here"),
    ("SET ROLE other", "SET is not allowed here"),
    ("DO 'x'", "DO is not allowed here"),
    ("CALL f()", "CALL is not allowed here"),
    ("EXPLAIN SELECT 1", "EXPLAIN is not allowed here"),
    ("DROP TABLE things", "DROP is not allowed here"),
    ("CREATE TABLE x (a TEXT)", "CREATE is not allowed here"),
    ("REINDEX", "REINDEX is not allowed here"),
    ("DETACH DATABASE main", "DETACH is not allowed here"),
    ("SELECT load_extension('x')", "the function load_extension is not allowed here"),
    ("SELECT randomblob(1000000000)", "the function randomblob is not allowed here"),
    ("SELECT hex(zeroblob(9))", "the function hex is not allowed here"),
    ("SELECT writefile('x', 'y')", "the function writefile is not allowed here"),
    ("SELECT current_setting('x')", "the function current_setting is not allowed here"),
    ("SELECT max(load_extension('x')) OVER (ORDER BY 1)", "load_extension"),
    ("SELECT id FROM things ORDER BY load_extension('x')", "load_extension"),
    ("SELECT id FROM things GROUP BY load_extension('x')", "load_extension"),
    ("SELECT id FROM things LIMIT load_extension('x')", "load_extension"),
    ("DELETE FROM things RETURNING load_extension('x')", "load_extension"),
    ("INSERT INTO things (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET title = load_extension('x')", "load_extension"),
    ("SELECT id FROM things WINDOW w AS (ORDER BY load_extension('x'))", "load_extension"),
    ("SELECT * FROM things JOIN others ON load_extension('x')", "load_extension"),
    ("SELECT * FROM host_outbox", "host_outbox is not a name of the component"),
    ("SELECT * FROM \"HOST_outbox\"", "is not a name of the component"),
    ("SELECT * FROM [host_outbox]", "a name is quoted with"),
    ("SELECT * FROM sqlite_master", "sqlite_master is not a name"),
    ("SELECT * FROM pg_catalog.pg_class", "pg_catalog is not a name"),
    ("SELECT * FROM information_schema.tables", "information_schema is not a name"),
    ("SELECT * FROM pragma_database_list", "pragma_database_list is not a name"),
    ("SELECT * FROM main.things", "outside the component's own database"),
    ("SELECT main.things.id FROM things", "outside the component's own database"),
    ("INSERT INTO main.things (id) VALUES (1)", "outside the component's own database"),
    ("UPDATE temp.things SET id = 1", "outside the component's own database"),
    ("DELETE FROM main.things", "outside the component's own database"),
    ("SELECT * FROM generate_series(1, 10)", "table-valued functions are not allowed here"),
    ("WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT * FROM n", "recursive"),
    ("WITH n AS (SELECT 1 UNION ALL SELECT 1 FROM N) SELECT * FROM n", "recursive"),
    ("WITH x AS (SELECT 1) INSERT INTO things (id) SELECT * FROM x", "WITH before a change"),
    ("SELECT * INTO other FROM things", "INTO"),
    ("INSERT OR ROLLBACK INTO things (id) VALUES (1)", "INSERT OR"),
    ("REPLACE INTO things (id) VALUES (1)", "REPLACE"),
    ("UPDATE OR ROLLBACK things SET id = 1", "UPDATE"),
    ("SELECT 1; SELECT 2", "exactly one statement"),
    ("SELECT 1; ATTACH DATABASE 'x' AS y", "exactly one statement"),
    ("", "exactly one statement"),
    ("-- nothing", "exactly one statement"),
    ("SELECT $$, load_extension('x') $$", ""),
    ("SELECT '\\''', 'x'", "has to be a parameter"),
    ("SELECT 'it''s'", "has to be a parameter"),
    ("SELECT ?", "parameters are $1"),
    ("SELECT :name", ""),
    ("SELECT @name", ""),
    ("SELECT x'00'", "is not allowed here"),
    ("SELECT `id` FROM things", "a name is quoted with"),
    ("SELECT id::text FROM things", "is not allowed here"),
    ("SELECT id -> 'x' FROM things", "is not allowed here"),
    ("SELECT title GLOB 'x' FROM things", "the operator GLOB"),
    ("SELECT title COLLATE nocase FROM things", "is not allowed here"),
    ("SELECT CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP is not allowed"),
    ("SELECT 1 FOR UPDATE", ""),
    ("SET ROLE NONE", "SET is not allowed here"),
    ("RESET ROLE", "RESET is not allowed here"),
    ("SET SESSION AUTHORIZATION other", "SET is not allowed here"),
    ("SET search_path TO other", "SET is not allowed here"),
    ("COPY things FROM PROGRAM 'id'", "COPY is not allowed here"),
    ("DO LANGUAGE plpgsql 'BEGIN END'", "DO is not allowed here"),
    ("LISTEN x", "LISTEN is not allowed here"),
    ("NOTIFY x", "NOTIFY is not allowed here"),
    ("LOCK TABLE things", "LOCK is not allowed here"),
    ("TRUNCATE things", "TRUNCATE is not allowed here"),
    ("GRANT ALL ON things TO PUBLIC", "GRANT is not allowed here"),
    ("PREPARE x AS SELECT 1", "PREPARE is not allowed here"),
    ("CREATE TEMPORARY TABLE t (a TEXT)", "CREATE is not allowed here"),
    ("CREATE FUNCTION f() RETURNS int AS 'x' LANGUAGE c", "not a statement that is understood here"),
    ("CREATE EXTENSION dblink", "CREATE is not allowed here"),
    ("TABLE things", ""),
    ("SELECT pg_sleep(100)", "pg_sleep is not a name"),
    ("SELECT pg_read_file('/etc/passwd')", "pg_read_file is not a name"),
    ("SELECT pg_advisory_lock(1)", "pg_advisory_lock is not a name"),
    ("SELECT pg_notify('x', 'y')", "pg_notify is not a name"),
    ("SELECT pg_terminate_backend(1)", "pg_terminate_backend is not a name"),
    ("SELECT lo_import('/etc/passwd')", "the function lo_import is not allowed here"),
    ("SELECT lo_create(0)", "the function lo_create is not allowed here"),
    ("SELECT dblink('x', 'y')", "the function dblink is not allowed here"),
    ("SELECT set_config('role', 'other', false)", "the function set_config is not allowed here"),
    ("SELECT nextval('s')", "the function nextval is not allowed here"),
    ("SELECT repeat('x', 1000000000)", "the function repeat is not allowed here"),
    ("SELECT query_to_xml('SELECT 1', true, true, '')", "the function query_to_xml is not allowed here"),
    ("SELECT ticketing_host.publish('x')", "outside the component's own database"),
    ("SELECT * FROM ticketing_host.store_outbox", "outside the component's own database"),
    ("SELECT current_user", "current_user is not a name"),
    ("SELECT session_user", "session_user is not a name"),
    ("SELECT ctid FROM things", "ctid is not a name"),
    ("SELECT xmin FROM things", "xmin is not a name"),
    ("SELECT rowid FROM things", "rowid is not a name"),
    ("SELECT max(id, title) FROM things", "one argument"),
    ("SELEC 1", ""),
];

#[tokio::test]
async fn the_shared_subset_passes() {
    let gate = Gate::new(Dialect::Sqlite);
    for text in ACCEPTED {
        gate.judge(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
    }
    assert!(gate.judge("SELECT 1").await.unwrap().reads_only);
    assert!(!gate.judge("DELETE FROM things").await.unwrap().reads_only);
    assert_eq!(gate.judge("SELECT $2").await.unwrap().parameters, 2);
}

#[tokio::test]
async fn every_way_out_is_refused_with_a_reason() {
    let gate = Gate::new(Dialect::Sqlite);
    let mut wrong = Vec::new();
    for (text, expected) in REFUSED {
        match gate.judge(text).await {
            Err(Error::Invalid(reason)) if reason.contains(expected) => {}
            other => wrong.push(format!("{text}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn statement_bombs_are_refused_and_do_not_exhaust_the_stack() {
    let gate = Gate::new(Dialect::Sqlite);
    let bombs = [
        format!("SELECT {}1{}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("SELECT {}1", "- ".repeat(20_000)),
        format!("SELECT {}1", "NOT ".repeat(15_000)),
        format!("SELECT 1{}", "+1".repeat(30_000)),
        format!("SELECT 1{}", " OR 1".repeat(12_000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(4_000)),
        format!("SELECT {}1{}", "CASE WHEN ".repeat(3_000), " THEN 1 END".repeat(3_000)),
        format!("SELECT {}1{}", "abs(".repeat(10_000), ")".repeat(10_000)),
        format!("SELECT * FROM {}things{}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("SELECT {}", "a.".repeat(30_000)),
        format!("SELECT * FROM things{}", " JOIN things".repeat(5_000)),
        format!("SELECT {}1{}", "(SELECT ".repeat(5_000), ")".repeat(5_000)),
    ];
    for bomb in bombs {
        assert!(matches!(gate.judge(&bomb).await, Err(Error::Invalid(_))), "{}", &bomb[..40]);
    }
    let long = format!("SELECT {}1", " ".repeat(STATEMENT_BYTES));
    assert!(matches!(gate.judge(&long).await, Err(Error::Limit(_))));
}

#[tokio::test]
async fn parameters_have_to_match_and_fit() {
    let gate = Gate::new(Dialect::Sqlite);
    assert!(gate.check("SELECT $1", &[Value::Integer(1)]).await.is_ok());
    assert!(matches!(gate.check("SELECT $1", &[]).await, Err(Error::Invalid(_))));
    assert!(matches!(gate.check("SELECT 1", &[Value::Null]).await, Err(Error::Invalid(_))));
    let big = Value::Blob(vec![0; PARAMETER_BYTES + 1]);
    assert!(matches!(gate.check("SELECT $1", &[big]).await, Err(Error::Limit(_))));
    assert!(gate.judge(&format!("SELECT ${}", PARAMETERS + 1)).await.is_err());
    let many = vec![Value::Null; PARAMETERS + 1];
    assert!(matches!(gate.check("SELECT 1", &many).await, Err(Error::Limit(_))));
}

#[test]
fn migrations_change_the_schema_and_nothing_else() {
    let statements = permit_migration(
        Dialect::Sqlite,
        "-- the tables
         CREATE TABLE things (id TEXT PRIMARY KEY, title TEXT NOT NULL DEFAULT 'x', n BIGINT NOT NULL CHECK (n > 0), d DOUBLE PRECISION, b BLOB,
             owner TEXT REFERENCES owners (id) ON DELETE CASCADE, UNIQUE (title, n), CHECK (n < 10));
         CREATE TABLE IF NOT EXISTS others (a TEXT NOT NULL, b BIGINT, PRIMARY KEY (a, b), FOREIGN KEY (a) REFERENCES things (id), CONSTRAINT small CHECK (b < 3));
         CREATE UNIQUE INDEX one_live ON things (title) WHERE n IN (1, 2);
         CREATE INDEX IF NOT EXISTS by_title ON things (title, n DESC);
         ALTER TABLE things ADD COLUMN extra TEXT;
         ALTER TABLE things RENAME COLUMN extra TO more;
         ALTER TABLE things DROP COLUMN more;
         ALTER TABLE others RENAME TO rest;
         INSERT INTO things (id, title, n) VALUES ('a', 'b', 1);
         UPDATE things SET n = 2;
         DELETE FROM things;
         DROP INDEX by_title;
         DROP TABLE IF EXISTS rest;",
    )
    .unwrap();
    assert_eq!(statements.len(), 13);
    let mut wrong = Vec::new();
    for (text, expected) in [
        ("CREATE TRIGGER t AFTER INSERT ON things BEGIN DELETE FROM things; END", ""),
        ("CREATE VIEW v AS SELECT 1", "CREATE is not allowed here"),
        ("CREATE VIRTUAL TABLE v USING fts5(x)", "CREATE is not allowed here"),
        ("CREATE TEMPORARY TABLE t (a TEXT)", "nothing else"),
        ("CREATE TABLE t AS SELECT 1", ""),
        ("CREATE TABLE host_t (a TEXT)", "host_t is not a name"),
        ("CREATE TABLE main.t (a TEXT)", "outside"),
        ("CREATE TABLE t (a TEXT) STRICT", "nothing else"),
        ("CREATE TABLE t (a TEXT) WITHOUT ROWID", "ROWID is not a name of the component"),
        ("CREATE TABLE t (a JSONB)", "the type JSONB"),
        ("CREATE TABLE t (a)", "the type"),
        ("CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT)", "the column option"),
        ("CREATE TABLE t (a TEXT UNIQUE ON CONFLICT ROLLBACK)", ""),
        ("CREATE TABLE t (a TEXT NOT NULL ON CONFLICT ROLLBACK)", "the column option"),
        ("CREATE TABLE t (a TEXT REFERENCES host_inbox (event_id))", "host_inbox is not a name"),
        ("CREATE INDEX i ON things (load_extension(title))", "load_extension"),
        ("CREATE TABLE t (a TEXT REFERENCES b (c) DEFERRABLE INITIALLY DEFERRED)", "deferred"),
        ("CREATE INDEX main.i ON things (title)", "outside"),
        ("ALTER TABLE host_inbox RENAME TO x", "host_inbox is not a name"),
        ("ALTER TABLE things RENAME TO host_x", "host_x is not a name"),
        ("ALTER TABLE things OWNER TO other", ""),
        ("DROP VIEW v", "DROP is not allowed here"),
        ("DROP TABLE host_outbox", "host_outbox is not a name"),
        ("DROP TABLE a CASCADE", "DROP"),
        ("PRAGMA writable_schema = 1", "PRAGMA is not allowed here"),
        ("SELECT 1", "SELECT is not allowed here"),
        ("INSERT INTO things (id) VALUES ($1)", "no parameters"),
        ("COMMIT; ATTACH DATABASE 'x' AS y", "COMMIT is not allowed here"),
    ] {
        match permit_migration(Dialect::Sqlite, text) {
            Err(reason) if reason.contains(expected) => {}
            other => wrong.push(format!("{text}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
