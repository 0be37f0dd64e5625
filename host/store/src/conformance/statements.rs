//! Tests of the statements of components.

use super::{Store, count, insert, migration, tables, text};
use crate::{Error, Value};
use host_sql::samples::{ACCEPTED, REFUSED};

pub(crate) async fn a_query_outside_a_transaction_only_reads(store: Store) {
    tables(&store).await;
    for sql in ["DELETE FROM things", "INSERT INTO things (id, n) VALUES ('a', 1) RETURNING id"] {
        assert!(matches!(store.query(sql, vec![]).await, Err(Error::Invalid(_))), "{sql}");
    }
    let mut transaction = store.begin().await.unwrap();
    assert!(matches!(transaction.execute("SELECT 1", vec![]).await, Err(Error::Invalid(_))));
    assert!(matches!(transaction.query("SELECT * FROM host_outbox", vec![]).await, Err(Error::Invalid(_))));
    assert!(matches!(transaction.execute("COMMIT", vec![]).await, Err(Error::Invalid(_))));
    assert!(matches!(transaction.query("SELECT nothing FROM things", vec![]).await, Err(Error::Invalid(_))));
    transaction.execute("INSERT INTO things (id, n) VALUES ('a', 1)", vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(count(&store).await, 1);
}

pub(crate) async fn every_permitted_statement_runs(store: Store) {
    let sql = "CREATE TABLE things (id TEXT PRIMARY KEY, title TEXT, state TEXT, version BIGINT, amount BIGINT, at_ms BIGINT, \"order\" TEXT);
        CREATE TABLE others (id TEXT PRIMARY KEY, title TEXT, thing_id TEXT);";
    store.migrate(&[migration("0001.sql", sql)]).await.unwrap();
    for statement in ACCEPTED {
        let mut transaction = store.begin().await.unwrap();
        let count = (1..=9).rev().find(|n| statement.contains(&format!("${n}"))).unwrap_or(0);
        let values: Vec<Value> = (0..count).map(Value::Integer).collect();
        let result = transaction.query(statement, values).await;
        assert!(result.is_ok(), "{statement}: {result:?}");
        transaction.rollback().await;
    }
}

pub(crate) async fn every_refused_statement_has_no_effect(store: Store) {
    tables(&store).await;
    insert(&store, "a", 1).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    for (statement, _) in REFUSED {
        let outside = store.query(statement, vec![]).await;
        assert!(matches!(outside, Err(Error::Invalid(_))), "{statement}: {outside:?}");
        let query = transaction.query(statement, vec![]).await;
        assert!(matches!(query, Err(Error::Invalid(_))), "{statement}: {query:?}");
        let execute = transaction.execute(statement, vec![]).await;
        assert!(matches!(execute, Err(Error::Invalid(_))), "{statement}: {execute:?}");
    }
    transaction.execute("INSERT INTO things (id, n) VALUES ('b', 2)", vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(count(&store).await, 2);
}

/// Covers how an engine compares, sorts and converts values.
pub(crate) async fn statements_mean_the_same_on_every_engine(store: Store) {
    let sql = "CREATE TABLE Things (id TEXT PRIMARY KEY, n BIGINT, d DOUBLE PRECISION, b BLOB);
        INSERT INTO things (id, n, d) VALUES ('b', 1, 1.5), ('A', NULL, 2.5), ('a', 3, -0.25), ('Z', 4, NULL);";
    store.migrate(&[migration("0001.sql", sql)]).await.unwrap();
    let mut wrong = Vec::new();
    for (statement, parameters, expected) in [
        ("SELECT id FROM things ORDER BY id", vec![], "A Z a b"),
        ("SELECT id FROM things ORDER BY n", vec![], "A b a Z"),
        ("SELECT id FROM things ORDER BY n DESC, id", vec![], "Z a b A"),
        ("SELECT ID FROM THINGS WHERE id LIKE 'A' ORDER BY id", vec![], "A a"),
        ("SELECT id FROM things WHERE id LIKE $1 ORDER BY id", vec![text("%\\_")], ""),
        ("SELECT count(*) FROM things WHERE id NOT LIKE $1", vec![text("a%")], "2"),
        ("SELECT min(id), max(id) FROM things", vec![], "A b"),
        ("SELECT sum(n), count(n) FROM things", vec![], "8 3"),
        ("SELECT avg(n) FROM things WHERE n IN (1, 3)", vec![], "2.0"),
        ("SELECT id FROM things GROUP BY id HAVING sum(n) > $1 ORDER BY id", vec![Value::Integer(2)], "Z a"),
        ("SELECT 7 / 2, 7 % 4, 1.5 * 2", vec![], "3 3 3.0"),
        ("SELECT round(d) FROM things WHERE id = 'A'", vec![], "3.0"),
        ("SELECT round(d, 1) FROM things WHERE id = 'a'", vec![], "-0.3"),
        ("SELECT lower($1), upper('straße')", vec![text("ÄB")], "Äb STRAßE"),
        ("SELECT length($1)", vec![text("äöü")], "3"),
        ("SELECT n = 1, n IS NULL FROM things WHERE id = 'b'", vec![], "1 0"),
        ("SELECT cast(n AS TEXT) || '!' FROM things WHERE id = $1", vec![text("b")], "1!"),
        ("SELECT coalesce($1, $2)", vec![Value::Null, text("x")], "x"),
        ("SELECT $1", vec![Value::Integer(5)], "5"),
        ("SELECT id FROM things WHERE $1 IS NULL ORDER BY id LIMIT 1", vec![Value::Null], "A"),
        ("SELECT d FROM things WHERE d > $1 ORDER BY d", vec![Value::Integer(2)], "2.5"),
        ("SELECT id FROM things WHERE id = $1", vec![Value::Integer(5)], ""),
        ("SELECT things.id AS \"order\" FROM things WHERE n = $1", vec![text("4")], "Z"),
    ] {
        let got = match store.query(statement, parameters).await {
            Ok(rows) => rows.rows.into_iter().flatten().map(|value| shown(&value)).collect::<Vec<_>>().join(" "),
            Err(error) => format!("{error:?}"),
        };
        if got != expected {
            wrong.push(format!("{statement}: {got} is not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Integer(integer) => integer.to_string(),
        Value::Real(real) => format!("{real:?}"),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => format!("{bytes:?}"),
    }
}
