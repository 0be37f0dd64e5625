//! SQL that tries to leave the component's database, or to make it unusable.

use super::hostile;
use crate::support::{Client, eventually, on_postgres};
use serde_json::{Value, json};

const ESCAPES: [&str; 35] = [
    "ATTACH DATABASE 'host.db' AS host",
    "ATTACH '../host.db' AS host",
    "DETACH main",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA writable_schema = 1",
    "SELECT * FROM pragma_table_info('treasure')",
    "SELECT load_extension('/tmp/evil.so')",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('/tmp/evil', 'x')",
    "SELECT fts3_tokenizer('simple')",
    "VACUUM INTO '/tmp/stolen.db'",
    "VACUUM",
    "REINDEX",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "CREATE TABLE mine (a TEXT)",
    "CREATE TEMP TABLE mine (a TEXT)",
    "CREATE VIRTUAL TABLE mine USING fts5(a)",
    "CREATE TRIGGER t AFTER INSERT ON applied BEGIN DELETE FROM treasure; END",
    "ALTER TABLE treasure ADD COLUMN more TEXT",
    "DROP TABLE treasure",
    "SELECT * FROM sqlite_master",
    "SELECT sql FROM \"sqlite_schema\"",
    "UPDATE sqlite_sequence SET seq = 0",
    "SELECT * FROM host_outbox",
    "INSERT INTO main.host_outbox (id) VALUES ('x')",
    "DELETE FROM host_inbox",
    "SELECT answer FROM host_requests",
    "SELECT 1; DELETE FROM treasure",
    "SELECT * FROM pg_catalog.pg_user",
    "COPY treasure TO PROGRAM 'cat'",
    "SET ROLE postgres",
    "DELETE FROM treasure /* ; */ ; PRAGMA foreign_keys = OFF",
];

fn error(answer: &Value) -> (String, String) {
    let part = |name: &str| answer["error"][name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    (part("kind"), part("text"))
}

#[tokio::test]
async fn a_statement_that_leaves_its_database_is_refused_and_harms_nothing() {
    let host = hostile().start().await;
    let attacker = host.visitor();
    for escape in ESCAPES {
        for call in ["query", "execute", "transaction"] {
            let (kind, text) = error(&attacker.statement(call, escape).await);
            assert_eq!(kind, "invalid", "{call} {escape}: {text}");
            assert!(text.len() > 10 && !text.contains('/'), "{call} {escape}: {text:?} does not name the reason");
        }
    }
    let (kind, _) = error(&attacker.statement("query", "DELETE FROM treasure").await);
    assert_eq!(kind, "invalid", "a query outside a transaction only reads");
    assert_eq!(attacker.treasure().await, json!([["crown", "gold"]]));
    attacker.says_hello().await;
    let count = host.database("components/hostile.db").await;
    let made = if on_postgres() {
        "SELECT count(*) FROM pg_class WHERE relname IN ('mine', 't')"
    } else {
        "SELECT count(*) FROM sqlite_master WHERE name IN ('mine', 't')"
    };
    assert_eq!(count.number(made).await, 0);
}

#[tokio::test]
async fn a_statement_that_never_ends_is_ended() {
    let host = hostile().start().await;
    let attacker = host.visitor();
    let recursive = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    ends(&attacker, "query", recursive).await;

    let values = (0..200).map(|number| format!("('{number}', 1)")).collect::<Vec<_>>().join(", ");
    let filled = attacker.statement("execute", &format!("INSERT INTO applied (id, times) VALUES {values}")).await;
    assert_eq!(filled, json!({ "result": 200 }));
    let product = "FROM applied a, applied b, applied c, applied d, applied e WHERE a.times + b.times + c.times + d.times + e.times < 0";
    ends(&attacker, "query", &format!("SELECT count(*) {product}")).await;
    ends(&attacker, "transaction", &format!("DELETE FROM treasure WHERE id IN (SELECT a.id {product})")).await;
    let rows = attacker.statement("query", "SELECT a.id FROM applied a, applied b, applied c").await;
    assert_eq!(error(&rows).0, "limit", "{rows}");

    eventually("the store answers again", async || attacker.treasure().await, |row| *row == json!([["crown", "gold"]]))
        .await;
    // The writer is busy until the store's own limit ends the statement.
    let change = json!({ "call": "execute", "statement": "UPDATE applied SET times = 2 WHERE id = '7'" });
    let change = async || attacker.post("/hostile/sql", change.clone()).await;
    let changed = eventually("the store accepts writes again", change, |reply| reply.status == 200).await;
    assert_eq!(changed.json(), json!({ "result": 1 }));
}

/// Asserts that the component's deadline or the store's limit ends a statement.
async fn ends(attacker: &Client, call: &str, statement: &str) {
    let reply = attacker.post("/hostile/sql", json!({ "call": call, "statement": statement })).await;
    if reply.status != 504 {
        assert_eq!(reply.status, 200, "{statement}: {reply:?}");
        let (kind, _) = error(&reply.json());
        assert!(["timeout", "invalid", "limit"].contains(&kind.as_str()), "{statement}: {kind}");
    }
}

#[tokio::test]
async fn a_very_large_row_is_refused_by_its_size() {
    let host = hostile().start().await;
    let attacker = host.visitor();
    let insert = "INSERT INTO treasure (id, note) VALUES ('large', $1)";
    let body = |bytes: usize| json!({ "call": "execute", "statement": insert, "bytes": bytes });
    let refused = attacker.post("/hostile/sql", body(9 << 20)).await.json();
    let (kind, text) = error(&refused);
    assert_eq!(kind, "limit", "{text}");
    assert!(text.contains("bytes"), "the limit has a unit: {text}");
    let refused = attacker.post("/hostile/sql", body(2_050_000)).await.json();
    assert_eq!(error(&refused).0, "constraint", "{refused}");
    let taken = attacker.post("/hostile/sql", body(1_000)).await.json();
    assert_eq!(taken, json!({ "result": 1 }));
}

#[tokio::test]
async fn a_transaction_that_is_left_open_is_rolled_back() {
    let host = hostile().start().await;
    let attacker = host.visitor();
    for _ in 0..8 {
        assert_eq!(attacker.attack("leak").await.status, 204);
    }
    assert_eq!(attacker.treasure().await, json!([["crown", "gold"]]));
    let changed = attacker.statement("execute", "UPDATE treasure SET note = 'silver'").await;
    assert_eq!(changed, json!({ "result": 1 }));
}

#[tokio::test]
async fn a_transaction_that_is_held_too_long_is_rolled_back() {
    let host = hostile().start().await;
    let attacker = host.visitor();
    let reply = attacker.attack("hold?ms=600").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let answer = reply.json();
    assert_eq!((&answer["update"]["kind"], &answer["commit"]["kind"]), (&json!("timeout"), &json!("timeout")));
    assert_eq!(attacker.treasure().await, json!([["crown", "gold"]]));
}
