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

/// U+0000 in a text, and numbers that are not finite.
pub(crate) async fn values_that_an_engine_cannot_store_are_refused_on_both(store: Store) {
    tables(&store).await;
    insert(&store, "a", 1).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    for value in [
        text("\0"),
        text("a\0"),
        text("a\0b"),
        Value::Real(f64::NAN),
        Value::Real(f64::INFINITY),
        Value::Real(f64::NEG_INFINITY),
    ] {
        for statement in [
            "SELECT $1",
            "SELECT id FROM things WHERE id = $1",
            "SELECT id FROM things WHERE d = $1",
            "SELECT id FROM things WHERE id LIKE $1",
            "SELECT coalesce($1, 'x')",
        ] {
            let outside = store.query(statement, vec![value.clone()]).await;
            assert!(matches!(outside, Err(Error::Invalid(_))), "{statement} {value:?}: {outside:?}");
            let inside = transaction.query(statement, vec![value.clone()]).await;
            assert!(matches!(inside, Err(Error::Invalid(_))), "{statement} {value:?}: {inside:?}");
        }
        for statement in
            ["INSERT INTO things (id, n) VALUES ($1, 0)", "UPDATE things SET id = $1", "UPDATE things SET d = $1"]
        {
            let result = transaction.execute(statement, vec![value.clone()]).await;
            assert!(matches!(result, Err(Error::Invalid(_))), "{statement} {value:?}: {result:?}");
        }
    }
    for statement in ["SELECT 1e999", "SELECT id FROM things WHERE d < -1e400"] {
        let refused = transaction.query(statement, vec![]).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{statement}: {refused:?}");
    }
    // The transaction continues, and bytes may be zero.
    transaction.execute("UPDATE things SET b = $1", vec![Value::Blob(vec![0, 1])]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(count(&store).await, 1);
}

/// Zeros with a sign, and results at the ends of the range.
pub(crate) async fn numbers_mean_the_same_on_every_engine(store: Store) {
    tables(&store).await;
    insert(&store, "a", 1).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    for real in [-0.0, 0.0, 0.1, -1.5, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 1e-320, 9_007_199_254_740_993.0] {
        transaction.execute("UPDATE things SET d = $1", vec![Value::Real(real)]).await.unwrap();
        for (statement, parameters) in [
            ("SELECT d FROM things", vec![]),
            ("SELECT d FROM things WHERE d = $1", vec![Value::Real(real)]),
            ("SELECT coalesce(d, $1) FROM things", vec![Value::Real(real)]),
        ] {
            let rows = transaction.query(statement, parameters).await.unwrap().rows;
            let got = rows.first().map(|row| shown(&row[0]));
            assert_eq!(got, Some(shown(&Value::Real(real + 0.0))), "{statement} {real}");
        }
    }
    transaction.execute("UPDATE things SET d = $1", vec![Value::Real(f64::MAX)]).await.unwrap();
    let too_large = transaction.query("SELECT d * 10 FROM things", vec![]).await;
    assert!(matches!(too_large, Err(Error::Invalid(_))), "{too_large:?}");
    transaction.rollback().await;
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
