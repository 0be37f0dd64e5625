//! Tests of migrations.

use super::{Store, migration, text};
use crate::{MigrationError, Value};
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
