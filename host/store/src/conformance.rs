//! What every engine has to do, as tests over [`Database`]. An engine's own
//! tests call each of these with an empty database.

mod statements;

pub(crate) use statements::*;

use super::{ConstraintKind, Database, DueTimer, Error, Once, Timer, Value};
use host_base::event::Event;
use host_sql::Migration;
use std::{sync::Arc, time::Duration};

pub(crate) type Store = Arc<dyn Database>;

pub(crate) fn migration(name: &str, sql: &str) -> Migration {
    Migration { name: name.into(), sql: sql.into() }
}

pub(crate) fn once(event_id: &str) -> Once {
    Once::Event(event_id.into())
}

pub(crate) fn text(value: &str) -> Value {
    Value::Text(value.into())
}

pub(crate) fn event(id: &str) -> Event {
    Event {
        id: id.into(),
        subject: "thing.created".into(),
        source: "things".into(),
        time_ms: 17,
        traceparent: Some("00-1-2-01".into()),
        payload: vec![0, 159, 146, 150],
    }
}

fn timer(key: &str, due_ms: u64) -> Timer {
    Timer { key: key.into(), due_ms, payload: key.as_bytes().to_vec() }
}

pub(crate) async fn tables(store: &Store) {
    let sql = "CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT NOT NULL, d DOUBLE PRECISION, b BLOB, CONSTRAINT positive CHECK (n >= 0));
        CREATE UNIQUE INDEX one_seven ON things (n) WHERE n = 7;
        CREATE TABLE parts (id TEXT PRIMARY KEY, thing TEXT NOT NULL REFERENCES things (id));";
    store.migrate(&[migration("0001_tables.sql", sql)]).await.unwrap();
}

async fn count(store: &Store) -> i64 {
    let rows = store.query("SELECT count(*) FROM things", vec![]).await.unwrap();
    match rows.rows[0][0] {
        Value::Integer(count) => count,
        ref other => panic!("{other:?}"),
    }
}

async fn insert(store: &Store, id: &str, n: i64) -> Result<(), Error> {
    let mut transaction = store.begin().await?;
    transaction.execute("INSERT INTO things (id, n) VALUES ($1, $2)", vec![text(id), Value::Integer(n)]).await?;
    transaction.commit().await
}

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

pub(crate) async fn nobody_sees_a_change_before_its_commit(store: Store) {
    tables(&store).await;
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("INSERT INTO things (id, n) VALUES ('a', 1)", vec![]).await.unwrap();
    assert_eq!(transaction.query("SELECT id FROM things", vec![]).await.unwrap().rows.len(), 1);
    assert_eq!(count(&store).await, 0);
    transaction.commit().await.unwrap();
    assert_eq!(count(&store).await, 1);
}

pub(crate) async fn what_is_dropped_or_rolled_back_leaves_nothing(store: Store) {
    tables(&store).await;
    for dropped in [true, false] {
        let mut transaction = store.begin_once(&once("x")).await.unwrap().unwrap();
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
    assert!(store.outbox(0, 10).await.unwrap().is_empty());
    assert_eq!(store.next_timer_ms().await.unwrap(), None);
    assert!(store.begin_once(&once("x")).await.unwrap().is_some());
}

pub(crate) async fn a_statement_in_flight_is_rolled_back_with_its_transaction(store: Store) {
    tables(&store).await;
    insert(&store, "x", 0).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("INSERT INTO things (id, n) VALUES ('a', 1)", vec![]).await.unwrap();
    {
        let call = transaction.execute("UPDATE things SET n = n + 1", vec![]);
        // Polled at most a few times, so that it is dropped on its way.
        let _ = tokio::time::timeout(Duration::ZERO, call).await;
    }
    drop(transaction);
    insert(&store, "b", 1).await.unwrap();
    let rows = store.query("SELECT id, n FROM things ORDER BY id", vec![]).await.unwrap();
    assert_eq!(
        format!("{:?}", rows.rows),
        format!("{:?}", [[text("b"), Value::Integer(1)], [text("x"), Value::Integer(0)]])
    );
}

pub(crate) async fn writers_one_after_another_lose_nothing(store: Store) {
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
    let outbox = store.outbox(0, 1_000).await.unwrap();
    assert_eq!(outbox.len(), 80);
    assert!(outbox.is_sorted_by(|one, next| one.sequence < next.sequence));
}

pub(crate) async fn a_violation_names_the_constraint_and_the_transaction_goes_on(store: Store) {
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

pub(crate) async fn a_statement_that_fails_takes_nothing_else_with_it(store: Store) {
    tables(&store).await;
    let taken = "INSERT INTO things (id, n) VALUES ('a', 1)";
    // What was done before it, in whatever way, stays.
    let mut transaction = store.begin_once(&once("e")).await.unwrap().unwrap();
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
    assert_eq!(store.outbox(0, 5).await.unwrap().len(), 1);
    assert!(store.begin_once(&once("e")).await.unwrap().is_none());
}

pub(crate) async fn failures_in_a_long_transaction_take_nothing_with_them(store: Store) {
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

pub(crate) async fn a_commit_whose_caller_has_gone_wakes_all_the_same(store: Store) {
    let mut transaction = store.begin().await.unwrap();
    transaction.publish(&event("one")).await.unwrap();
    transaction.schedule(&Timer { key: "t".into(), due_ms: 1, payload: vec![] }, None).await.unwrap();
    let signals = store.signals().clone();
    // What woke them before this.
    while tokio::time::timeout(Duration::from_millis(100), signals.outbox.grown()).await.is_ok() {}
    while tokio::time::timeout(Duration::from_millis(100), signals.timers.earlier()).await.is_ok() {}
    let mut commit = transaction.commit();
    assert!(futures::poll!(&mut commit).is_pending());
    drop(commit);
    let begun = std::time::Instant::now();
    tokio::time::timeout(Duration::from_secs(4), signals.outbox.grown()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(4), signals.timers.earlier()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3), "by the commit and not by the safety net");
    assert_eq!(store.outbox(0, 5).await.unwrap().len(), 1);
}

pub(crate) async fn an_event_is_marked_once(store: Store) {
    for id in ["e", "it's; \\ -- \u{1F3AB}", ""] {
        store.begin_once(&once(id)).await.unwrap().unwrap().commit().await.unwrap();
        assert!(store.begin_once(&once(id)).await.unwrap().is_none());
    }
    assert_eq!(store.prune_inbox(1).await.unwrap(), 0);
    assert_eq!(store.prune_inbox(u64::MAX).await.unwrap(), 3);
    assert!(store.begin_once(&once("e")).await.unwrap().is_some());
}

pub(crate) async fn the_outbox_keeps_the_order_of_commits(store: Store) {
    for batch in 0..3 {
        let mut transaction = store.begin().await.unwrap();
        for number in 0..3 {
            transaction.publish(&event(&format!("{batch}-{number}"))).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }
    tokio::time::timeout(Duration::from_secs(5), store.signals().outbox.grown()).await.unwrap();
    let outbox = store.outbox(0, 5).await.unwrap();
    let ids: Vec<_> = outbox.iter().map(|event| event.event.id.as_str()).collect();
    assert_eq!(ids, ["0-0", "0-1", "0-2", "1-0", "1-1"]);
    assert_eq!(outbox[0].event, event("0-0"));
    assert_eq!(store.outbox(outbox[3].sequence, 1).await.unwrap()[0].event.id, "1-1");
    store.clear_outbox(outbox[3].sequence).await.unwrap();
    let rest = store.outbox(0, 100).await.unwrap();
    assert_eq!(rest.first().unwrap().event.id, "1-1");
    assert_eq!(rest.len(), 5);
}

pub(crate) async fn timers_are_replaced_cancelled_put_off_and_taken_once(store: Store) {
    let mut transaction = store.begin().await.unwrap();
    transaction.schedule(&timer("a", 10), Some("trace")).await.unwrap();
    transaction.schedule(&timer("b", 5), None).await.unwrap();
    transaction.schedule(&timer("c", 20), None).await.unwrap();
    assert!(transaction.cancel_timer("c").await.unwrap());
    assert!(!transaction.cancel_timer("c").await.unwrap());
    transaction.commit().await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), store.signals().timers.earlier()).await.unwrap();
    assert_eq!(store.next_timer_ms().await.unwrap(), Some(5));
    let keys = |timers: &[DueTimer]| timers.iter().map(|due| due.timer.key.clone()).collect::<Vec<_>>();
    let due: Vec<DueTimer> = store.upcoming_timers(10, 10).await.unwrap();
    assert_eq!(keys(&due), ["b", "a"]);
    assert_eq!(keys(&store.upcoming_timers(10, 1).await.unwrap()), ["b"]);
    assert_eq!(keys(&store.upcoming_timers(4, 10).await.unwrap()), ["b"], "the next one");
    assert_eq!((due[1].attempt, due[1].traceparent.as_deref()), (1, Some("trace")));

    // Replaced: the old one can no longer be taken.
    let mut transaction = store.begin().await.unwrap();
    transaction.schedule(&timer("b", 6), None).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(store.begin_once(&Once::Timer(due[0].clone())).await.unwrap().is_none());
    store.begin_once(&Once::Timer(due[1].clone())).await.unwrap().unwrap().commit().await.unwrap();
    assert!(store.begin_once(&Once::Timer(due[1].clone())).await.unwrap().is_none());

    let due = store.upcoming_timers(10, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    let mut transaction = store.begin().await.unwrap();
    transaction.put_off_timer(&due[0], 50).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(store.upcoming_timers(49, 10).await.unwrap()[0].timer.due_ms, 50);
    // The attempt that was put off can no longer be taken.
    assert!(store.begin_once(&Once::Timer(due[0].clone())).await.unwrap().is_none());
    let due = store.upcoming_timers(50, 10).await.unwrap();
    assert_eq!((due[0].attempt, due[0].timer.payload.as_slice()), (2, b"b".as_slice()));
}
