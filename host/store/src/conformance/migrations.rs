//! Tests of migrations.

use super::{Store, event, key, migration, text, timer};
use crate::{LiveEvent, MigrationError, Value};
use host_sql::Applied;
use std::slice;

pub(crate) async fn migrations_run_once_and_must_not_change(store: Store) {
    assert!(store.applied().await.unwrap().is_empty());
    let first = migration("0001.sql", "CREATE TABLE things (id TEXT PRIMARY KEY)");
    let second = migration("0002.sql", "ALTER TABLE things ADD COLUMN n BIGINT NOT NULL DEFAULT 4");
    assert_eq!(store.migrate(slice::from_ref(&first)).await.unwrap(), ["0001.sql"]);
    insert_id(&store, "a").await;
    assert_eq!(store.query("SELECT * FROM things", vec![]).await.unwrap().columns, ["id"]);
    assert_eq!(store.migrate(&[first.clone(), second.clone()]).await.unwrap(), ["0002.sql"]);
    let rows = store.query("SELECT * FROM things", vec![]).await.unwrap();
    assert_eq!(format!("{:?}", rows.rows), format!("{:?}", [[text("a"), Value::Integer(4)]]));
    assert!(store.migrate(&[first.clone(), second.clone()]).await.unwrap().is_empty());
    // An older revision has fewer migrations.
    assert!(store.migrate(slice::from_ref(&first)).await.unwrap().is_empty());
    let applied = store.applied().await.unwrap();
    assert_eq!(applied, [&first, &second].map(Applied::of));

    let changed = migration("0001.sql", "CREATE TABLE things (id TEXT PRIMARY KEY, x TEXT)");
    assert!(applied[0].is(&first) && !applied[0].is(&changed));
    assert!(
        matches!(store.migrate(&[changed, second]).await, Err(MigrationError::Changed(name)) if name == "0001.sql")
    );
    let broken = migration("0003.sql", "CREATE TABLE more (id TEXT); CREATE TABLE things (id TEXT)");
    assert!(matches!(store.migrate(&[broken]).await, Err(MigrationError::Failed { name, .. }) if name == "0003.sql"));
    assert!(store.query("SELECT id FROM more", vec![]).await.is_err(), "a failed migration leaves nothing");
    let hostile = migration("0004.sql", "CREATE TABLE fine (id TEXT); DROP TABLE host_migrations");
    assert!(matches!(store.migrate(&[hostile]).await, Err(MigrationError::Failed { .. })));
    assert_eq!(store.applied().await.unwrap(), applied, "the failed migrations were not applied");
}

async fn insert_id(store: &Store, id: &str) {
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("INSERT INTO things (id) VALUES ($1)", vec![text(id)]).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Tables that refer to each other, with an index.
const FAMILY: &str = "
    CREATE TABLE parents (id TEXT PRIMARY KEY, favourite TEXT);
    CREATE TABLE children (id TEXT PRIMARY KEY, parent TEXT NOT NULL REFERENCES parents (id));
    CREATE INDEX children_parent ON children (parent)";

pub(crate) async fn an_emptied_database_is_as_a_new_one(store: Store) {
    let family = migration("0001.sql", FAMILY);
    for round in 0..3 {
        assert_eq!(store.migrate(slice::from_ref(&family)).await.unwrap(), ["0001.sql"], "round {round}");
        let claimed = store.begin_once(&key("e")).await.unwrap();
        let mut transaction = claimed.expect("the event of the round before is forgotten");
        for statement in ["INSERT INTO parents (id) VALUES ($1)", "INSERT INTO children (id, parent) VALUES ($1, $1)"] {
            transaction.execute(statement, vec![text("a")]).await.unwrap();
        }
        transaction.publish(&event("1")).await.unwrap();
        let live = LiveEvent { channel: "c".to_owned(), name: String::new(), data: "text".to_owned() };
        transaction.send_live(live).unwrap();
        transaction.schedule(&timer("t", 4_000_000_000_000), None).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(store.query("SELECT id FROM children", vec![]).await.unwrap().rows.len(), 1);

        store.empty().await.unwrap();
        assert!(store.applied().await.unwrap().is_empty());
        for table in ["parents", "children"] {
            let gone = store.query(&format!("SELECT * FROM {table}"), vec![]).await;
            assert!(gone.is_err(), "{table} is gone");
        }
        let live = store.read_live(0).await.unwrap();
        assert_eq!(live.iter().map(|logged| logged.sequence).collect::<Vec<_>>(), [round + 1], "the numbers go on");
        assert!(live.iter().all(|logged| logged.event.data.is_empty() && logged.event.channel.is_empty()));
        let amount = store.measure().await.unwrap();
        assert_eq!((amount.outbox_events, amount.timers), (0, 0));
        assert!(store.measure_tables(9).await.unwrap().is_empty());
    }
    // Another schema has the same names.
    let other = migration("0001.sql", "CREATE TABLE children (n BIGINT)");
    assert_eq!(store.migrate(&[other]).await.unwrap(), ["0001.sql"]);
    assert_eq!(store.query("SELECT * FROM children", vec![]).await.unwrap().columns, ["n"]);
}
