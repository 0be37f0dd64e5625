//! Tests of transactions.

use super::{Store, count, event, insert, key, tables, text, timer};
use crate::{ConstraintKind, Error, Value};
use std::time::Duration;
use tokio::time::timeout;

pub(crate) async fn values_come_back_as_they_were(store: Store) {
    tables(&store).await;
    let mut transaction = store.begin().await.unwrap();
    let values = vec![text("ä'\u{1F3AB}"), Value::Integer(i64::MAX), Value::Real(0.5), Value::Blob(vec![0, 255])];
    let sql = "INSERT INTO things (d, id, n, b) VALUES ($3, $1, $2, $4) RETURNING id, n, d, b, NULL AS absent";
    let rows = transaction.query(sql, values).await.unwrap();
    assert_eq!(rows.columns, ["id", "n", "d", "b", "absent"]);
    let expected =
        vec![text("ä'\u{1F3AB}"), Value::Integer(i64::MAX), Value::Real(0.5), Value::Blob(vec![0, 255]), Value::Null];
    assert_eq!(format!("{:?}", rows.rows), format!("{:?}", vec![expected]));
    transaction.commit().await.unwrap();
    let none = store.query("SELECT id, n FROM things WHERE n = $1", vec![Value::Integer(3)]).await.unwrap();
    assert_eq!((none.columns.len(), none.rows.len()), (2, 0));
}

pub(crate) async fn a_change_is_invisible_before_its_commit(store: Store) {
    tables(&store).await;
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("INSERT INTO things (id, n) VALUES ('a', 1)", vec![]).await.unwrap();
    assert_eq!(transaction.query("SELECT id FROM things", vec![]).await.unwrap().rows.len(), 1);
    assert_eq!(count(&store).await, 0);
    transaction.commit().await.unwrap();
    assert_eq!(count(&store).await, 1);
}

pub(crate) async fn a_dropped_or_rolled_back_transaction_leaves_nothing(store: Store) {
    tables(&store).await;
    for dropped in [true, false] {
        let mut transaction = store.begin_once(&key("x")).await.unwrap().unwrap();
        transaction.execute("INSERT INTO things (id, n) VALUES ('a', 1)", vec![]).await.unwrap();
        transaction.publish(&event("e")).await.unwrap();
        transaction.schedule(&timer("t", 1), None).await.unwrap();
        if dropped {
            drop(transaction);
        } else {
            transaction.rollback().await;
        }
        insert(&store, &format!("after-{dropped}"), 1).await.unwrap();
    }
    assert_eq!(count(&store).await, 2);
    assert!(store.read_outbox(0, 10).await.unwrap().is_empty());
    assert!(store.upcoming_timers(0, 10).await.unwrap().is_empty());
    assert!(store.begin_once(&key("x")).await.unwrap().is_some());
}

pub(crate) async fn a_running_statement_is_rolled_back_with_its_transaction(store: Store) {
    tables(&store).await;
    insert(&store, "x", 0).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("INSERT INTO things (id, n) VALUES ('a', 1)", vec![]).await.unwrap();
    {
        let call = transaction.execute("UPDATE things SET n = n + 1", vec![]);
        // It is polled at most a few times, so it is dropped while it runs.
        let _ = timeout(Duration::ZERO, call).await;
    }
    drop(transaction);
    insert(&store, "b", 1).await.unwrap();
    let rows = store.query("SELECT id, n FROM things ORDER BY id", vec![]).await.unwrap();
    assert_eq!(
        format!("{:?}", rows.rows),
        format!("{:?}", [[text("b"), Value::Integer(1)], [text("x"), Value::Integer(0)]])
    );
}

pub(crate) async fn concurrent_writers_lose_no_change(store: Store) {
    tables(&store).await;
    insert(&store, "counter", 0).await.unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut transaction = store.begin().await.unwrap();
                let rows = transaction.query("SELECT n FROM things WHERE id = 'counter'", vec![]).await.unwrap();
                let Value::Integer(n) = rows.rows[0][0] else { panic!() };
                transaction
                    .execute("UPDATE things SET n = $1 WHERE id = 'counter'", vec![Value::Integer(n + 1)])
                    .await
                    .unwrap();
                transaction.publish(&event(&format!("e{number}"))).await.unwrap();
                match number % 10 {
                    3 => drop(transaction),
                    4 => transaction.rollback().await,
                    _ => transaction.commit().await.unwrap(),
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let rows = store.query("SELECT n FROM things WHERE id = 'counter'", vec![]).await.unwrap();
    assert_eq!(format!("{:?}", rows.rows), "[[Value::Integer(80)]]");
    let outbox = store.read_outbox(0, 1_000).await.unwrap();
    assert_eq!(outbox.len(), 80);
    assert!(outbox.is_sorted_by(|one, next| one.sequence < next.sequence));
}

pub(crate) async fn a_violation_names_the_constraint_and_the_transaction_continues(store: Store) {
    tables(&store).await;
    insert(&store, "a", 7).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    for (sql, kind, target) in [
        ("INSERT INTO things (id, n) VALUES ('a', 1)", ConstraintKind::Unique, "things.id"),
        ("INSERT INTO things (id, n) VALUES ('b', 7)", ConstraintKind::Unique, "things.n"),
        ("INSERT INTO things (id, n) VALUES ('b', NULL)", ConstraintKind::NotNull, "things.n"),
        ("INSERT INTO things (id, n) VALUES ('b', -1)", ConstraintKind::Check, "positive"),
        ("INSERT INTO parts (id, thing) VALUES ('p', 'none')", ConstraintKind::ForeignKey, ""),
    ] {
        match transaction.execute(sql, vec![]).await {
            Err(Error::Constraint(violation)) => {
                assert_eq!((violation.kind, violation.target.as_str()), (kind, target), "{sql}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    transaction.execute("INSERT INTO things (id, n) VALUES ('c', 1)", vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(count(&store).await, 2);
}

pub(crate) async fn a_failed_statement_undoes_nothing_else(store: Store) {
    tables(&store).await;
    let taken = "INSERT INTO things (id, n) VALUES ('a', 1)";
    // Each kind of change before the failed statement stays.
    let mut transaction = store.begin_once(&key("e")).await.unwrap().unwrap();
    transaction.query("SELECT n FROM things", vec![]).await.unwrap();
    transaction.execute(taken, vec![]).await.unwrap();
    transaction.execute(taken, vec![]).await.unwrap_err();
    transaction.query("INSERT INTO things (id, n) VALUES ('b', 2) RETURNING n", vec![]).await.unwrap();
    transaction.execute(taken, vec![]).await.unwrap_err();
    transaction.publish(&event("one")).await.unwrap();
    transaction.execute(taken, vec![]).await.unwrap_err();
    transaction.query("SELECT n FROM things", vec![]).await.unwrap();
    transaction.execute(taken, vec![]).await.unwrap_err();
    assert_eq!(transaction.query("SELECT n FROM things", vec![]).await.unwrap().rows.len(), 2);
    transaction.commit().await.unwrap();
    assert_eq!(count(&store).await, 2);
    assert_eq!(store.read_outbox(0, 5).await.unwrap().len(), 1);
    assert!(store.begin_once(&key("e")).await.unwrap().is_none());
}

pub(crate) async fn failed_statements_in_a_long_transaction_undo_nothing_else(store: Store) {
    tables(&store).await;
    let mut transaction = store.begin().await.unwrap();
    transaction.schedule(&timer("kept", 1), None).await.unwrap();
    transaction.schedule(&timer("cancelled", 2), None).await.unwrap();
    for n in 0..40 {
        let id = format!("thing-{n}");
        let insert = "INSERT INTO things (id, n) VALUES ($1, $2)";
        assert_eq!(transaction.execute(insert, vec![text(&id), Value::Integer(n)]).await.unwrap(), 1);
        if n % 5 == 0 {
            transaction.execute(insert, vec![text(&id), Value::Integer(n)]).await.unwrap_err();
        }
        let moved = "UPDATE things SET n = n + 1000 WHERE id = $1 AND n < 1000";
        assert_eq!(transaction.execute(moved, vec![text(&id)]).await.unwrap(), 1);
        transaction.execute("UPDATE things SET n = -1", vec![]).await.unwrap_err();
    }
    assert!(transaction.cancel_timer("cancelled").await.unwrap());
    transaction.execute("DELETE FROM nothing", vec![]).await.unwrap_err();
    transaction.commit().await.unwrap();
    assert_eq!(count(&store).await, 40);
    let moved = store.query("SELECT count(*) FROM things WHERE n >= 1000", vec![]).await.unwrap();
    assert!(matches!(moved.rows[0][0], Value::Integer(40)), "{moved:?}");
    let timers = store.upcoming_timers(9, 9).await.unwrap();
    assert!(matches!(timers.as_slice(), [one] if one.timer.key == "kept"), "{timers:?}");
}
