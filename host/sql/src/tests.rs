use super::*;
use samples::{ACCEPTED, REFUSED};

#[test]
fn the_shared_subset_passes() {
    for text in ACCEPTED {
        permit(Dialect::Sqlite, text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    }
    assert!(permit(Dialect::Sqlite, "SELECT 1").unwrap().reads_only);
    assert!(!permit(Dialect::Sqlite, "DELETE FROM things").unwrap().reads_only);
    assert_eq!(permit(Dialect::Sqlite, "SELECT $2").unwrap().parameters, 2);
}

#[test]
fn every_way_out_is_refused_with_a_reason() {
    let mut wrong = Vec::new();
    for (text, expected) in REFUSED {
        match permit(Dialect::Sqlite, text) {
            Err(reason) if reason.contains(expected) => {}
            other => wrong.push(format!("{text}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn statement_bombs_are_refused_and_do_not_exhaust_the_stack() {
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
        assert!(permit(Dialect::Sqlite, &bomb).is_err(), "{}", &bomb[..40]);
    }
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
