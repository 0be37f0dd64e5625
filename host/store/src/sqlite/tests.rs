mod group_commit;
mod statements;

use super::{SqliteDatabase, connection::Connection};
use crate::{
    Error, Timer, Value,
    conformance::{self, Store, conformance_suite, event, key, tables, text},
    limits::Limits,
};
use tempfile::TempDir;

async fn open(folder: &TempDir, limits: Limits) -> Store {
    SqliteDatabase::open(&folder.path().join("components/things.db"), limits).await.unwrap()
}

macro_rules! conforms {
    ($($module:ident { $($case:ident)* })*) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let folder = tempfile::tempdir().unwrap();
            conformance::$module::$case(open(&folder, Limits::default()).await).await;
        }
    )*)*};
}

conformance_suite!(conforms);

async fn fill(store: &Store, rows: usize, bytes: usize) {
    let mut transaction = store.begin().await.unwrap();
    for number in 0..rows {
        let values = vec![text(&format!("{number}")), Value::Blob(vec![1; bytes])];
        transaction.execute("INSERT INTO things (id, n, b) VALUES ($1, 0, $2)", values).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

async fn fill_one(store: &Store, id: &str) {
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("INSERT INTO things (id, n) VALUES ($1, 0)", vec![text(id)]).await.unwrap();
    transaction.commit().await.unwrap();
}

/// A query that runs for longer than any test waits.
const HEAVY: &str =
    "SELECT count(*) FROM things a, things b, things c, things d, things e WHERE a.n + b.n + c.n + d.n + e.n < 0";

#[tokio::test]
async fn sqlite_is_built_so_that_nothing_can_be_attached_or_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let connection = Connection::open_to_write(&folder.path().join("x.db"), &Limits::default()).unwrap();
    let rows = connection.rows("PRAGMA compile_options", &[], &Limits::default()).unwrap();
    let options = format!("{:?}", rows.rows);
    assert!(options.contains("\"MAX_ATTACHED=0\"") && options.contains("\"OMIT_LOAD_EXTENSION\""), "{options}");
}

#[tokio::test]
async fn committed_changes_are_there_after_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits::default()).await;
    tables(&store).await;
    fill(&store, 3, 1).await;
    let mut transaction = store.begin_once(&key("m")).await.unwrap().unwrap();
    transaction.publish(&event("e")).await.unwrap();
    transaction.schedule(&Timer { key: "t".into(), due_ms: 9, payload: vec![] }, None).await.unwrap();
    transaction.commit().await.unwrap();
    store.close().await;
    assert!(matches!(store.begin().await.map(drop), Err(Error::Unavailable(_))));
    assert!(matches!(store.query("SELECT 1", vec![]).await, Err(Error::Unavailable(_))));

    let store = open(&folder, Limits::default()).await;
    tables(&store).await;
    assert_eq!(store.query("SELECT id FROM things", vec![]).await.unwrap().rows.len(), 3);
    assert_eq!(store.read_outbox(0, 10).await.unwrap()[0].event, event("e"));
    assert_eq!(store.upcoming_timers(0, 1).await.unwrap()[0].timer.due_ms, 9);
    assert!(store.begin_once(&key("m")).await.unwrap().is_none());
}
