use super::{
    super::conformance::{self, Store, event, once, tables, text},
    *,
};
use std::time::Instant;
use tempfile::TempDir;

async fn open(folder: &TempDir, limits: Limits) -> Store {
    SqliteDatabase::open(&folder.path().join("components/things.db"), limits).await.unwrap()
}

macro_rules! conforms {
    ($($case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let folder = tempfile::tempdir().unwrap();
            conformance::$case(open(&folder, Limits::default()).await).await;
        }
    )*};
}

conforms! {
    values_come_back_as_they_were
    nobody_sees_a_change_before_its_commit
    what_is_dropped_or_rolled_back_leaves_nothing
    a_statement_in_flight_is_rolled_back_with_its_transaction
    writers_one_after_another_lose_nothing
    a_violation_names_the_constraint_and_the_transaction_goes_on
    a_statement_that_fails_takes_nothing_else_with_it
    failures_in_a_long_transaction_take_nothing_with_them
    a_commit_whose_caller_has_gone_wakes_all_the_same
    an_event_is_marked_once
    the_outbox_keeps_the_order_of_commits
    timers_are_replaced_cancelled_put_off_and_taken_once
    migrations_run_once_and_must_not_change
    a_query_outside_a_transaction_only_reads
    what_the_gate_lets_through_is_understood
    nothing_gets_out_and_nothing_is_harmed
    statements_mean_the_same_on_every_engine
}

async fn fill(store: &Store, rows: usize, bytes: usize) {
    let mut transaction = store.begin().await.unwrap();
    for number in 0..rows {
        let values = vec![text(&format!("{number}")), Value::Blob(vec![1; bytes])];
        transaction.execute("INSERT INTO things (id, n, b) VALUES ($1, 0, $2)", values).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

const HEAVY: &str =
    "SELECT count(*) FROM things a, things b, things c, things d, things e WHERE a.n + b.n + c.n + d.n + e.n < 0";

#[tokio::test]
async fn sqlite_is_built_so_that_nothing_can_be_attached_or_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = Connection::open(&durable_options(&folder.path().join("x.db"))).await.unwrap();
    let rows = connection.rows(&Arc::from("PRAGMA compile_options"), vec![], &Limits::default()).await.unwrap();
    let options = format!("{:?}", rows.rows);
    assert!(options.contains("\"MAX_ATTACHED=0\"") && options.contains("\"OMIT_LOAD_EXTENSION\""), "{options}");
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits::default()).await;
    tables(&store).await;
    fill(&store, 3, 1).await;
    let mut transaction = store.begin_once(&once("m")).await.unwrap().unwrap();
    transaction.publish(&event("e")).await.unwrap();
    transaction.schedule(&Timer { key: "t".into(), due_ms: 9, payload: vec![] }, None).await.unwrap();
    transaction.commit().await.unwrap();
    store.close().await;
    assert!(matches!(store.begin().await.map(drop), Err(Error::Unavailable(_))));
    assert!(matches!(store.query("SELECT 1", vec![]).await, Err(Error::Unavailable(_))));

    let store = open(&folder, Limits::default()).await;
    tables(&store).await;
    assert_eq!(store.query("SELECT id FROM things", vec![]).await.unwrap().rows.len(), 3);
    assert_eq!(store.outbox(0, 10).await.unwrap()[0].event, event("e"));
    assert_eq!(store.next_timer_ms().await.unwrap(), Some(9));
    assert!(store.begin_once(&once("m")).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heavy_statement_is_interrupted_and_the_database_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits { statement_ms: 150, readers: 1, ..Limits::default() }).await;
    tables(&store).await;
    fill(&store, 300, 1).await;
    let started = Instant::now();
    assert!(matches!(store.query(HEAVY, vec![]).await, Err(Error::Timeout)));
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("UPDATE things SET n = 5 WHERE id = '1'", vec![]).await.unwrap();
    let heavy = format!("UPDATE things SET n = ({HEAVY})");
    assert!(matches!(transaction.execute(&heavy, vec![]).await, Err(Error::Timeout)));
    // SQLite may have rolled back by itself, so nothing may go on outside.
    assert!(matches!(transaction.execute("DELETE FROM things", vec![]).await, Err(Error::Timeout)));
    assert!(matches!(transaction.commit().await, Err(Error::Timeout)));
    assert!(started.elapsed().as_secs() < 5);
    let rows = store.query("SELECT count(*), sum(n) FROM things", vec![]).await.unwrap();
    assert_eq!(format!("{:?}", rows.rows), "[[Value::Integer(300), Value::Integer(0)]]");
    fill_one(&store, "after").await;
}

async fn fill_one(store: &Store, id: &str) {
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("INSERT INTO things (id, n) VALUES ($1, 0)", vec![text(id)]).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_whose_caller_is_gone_frees_its_reader() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits { statement_ms: 60_000, readers: 1, ..Limits::default() }).await;
    tables(&store).await;
    fill(&store, 300, 1).await;
    let heavy = tokio::time::timeout(Duration::from_millis(50), store.query(HEAVY, vec![])).await;
    assert!(heavy.is_err());
    let started = Instant::now();
    store.query("SELECT 1", vec![]).await.unwrap();
    assert!(started.elapsed().as_secs() < 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_change_takes_its_batch_along_and_all_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits { statement_ms: 200, ..Limits::default() }).await;
    tables(&store).await;
    fill(&store, 300, 1).await;
    // The first holds its turn until the others stand in line.
    let mut first = store.begin().await.unwrap();
    first.execute("INSERT INTO things (id, n) VALUES ('first', 0)", vec![]).await.unwrap();
    let other = store.clone();
    let second = tokio::spawn(async move {
        let mut transaction = other.begin().await.unwrap();
        let result = transaction.execute(&format!("UPDATE things SET n = ({HEAVY})"), vec![]).await;
        (result, transaction.commit().await)
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let outcome = first.commit().await;
    let (change, commit) = second.await.unwrap();
    assert!(matches!(change, Err(Error::Timeout)) && matches!(commit, Err(Error::Timeout)));
    let found = store.query("SELECT id FROM things WHERE id = 'first'", vec![]).await.unwrap().rows.len();
    match outcome {
        Ok(()) => assert_eq!(found, 1),
        Err(Error::Conflict) => assert_eq!(found, 0),
        other => panic!("{other:?}"),
    }
    fill_one(&store, "after").await;
}

#[tokio::test]
async fn results_and_statements_over_a_limit_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { result_rows: 10, result_bytes: 900, ..Limits::default() };
    let store = open(&folder, limits).await;
    tables(&store).await;
    fill(&store, 11, 100).await;
    let limit = |result: Result<Rows, Error>| match result {
        Err(Error::Limit(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(store.query("SELECT id FROM things", vec![]).await), "a result of more than 10 rows");
    assert_eq!(limit(store.query("SELECT b FROM things LIMIT 10", vec![]).await), "a result of more than 900 bytes");
    let long = format!("SELECT '{}'", "x".repeat(70_000));
    assert_eq!(limit(store.query(&long, vec![]).await), "a statement of more than 65536 bytes");
    let grows = format!("SELECT {}$1{}", "replace(".repeat(8), ", 'a', 'aaaaaaaaaa')".repeat(8));
    let big = store.query(&grows, vec![text(&"a".repeat(1_000))]).await;
    assert_eq!(limit(big), "a value or statement of too many bytes");
    // Inside a transaction it goes on.
    let mut transaction = store.begin().await.unwrap();
    assert!(matches!(transaction.query("SELECT id FROM things", vec![]).await, Err(Error::Limit(_))));
    transaction.execute("DELETE FROM things", vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(store.query("SELECT id FROM things", vec![]).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn a_full_database_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits { database_bytes: 200_000, ..Limits::default() }).await;
    tables(&store).await;
    let mut transaction = store.begin().await.unwrap();
    let values = vec![Value::Blob(vec![1; 400_000])];
    let result = transaction.execute("INSERT INTO things (id, n, b) VALUES ('a', 0, $1)", values).await;
    assert!(matches!(&result, Err(Error::Unavailable(text)) if text.contains("full")), "{result:?}");
    drop(transaction);
    fill_one(&store, "b").await;
}

#[tokio::test]
async fn whoever_waits_too_long_for_the_writer_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits { wait_ms: 50, ..Limits::default() }).await;
    tables(&store).await;
    let holder = store.begin().await.unwrap();
    assert!(matches!(store.begin().await.map(drop), Err(Error::Timeout)));
    drop(holder);
    fill_one(&store, "a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_writers_share_commits() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits::default()).await;
    tables(&store).await;
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { fill_one(&store, &format!("{number}")).await })
        })
        .collect();
    // Callers that go away while they wait or commit leave nothing half done.
    let leaving: Vec<_> = (0..50)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let id = format!("leaving-{number}");
                let work = fill_one(&store, &id);
                let _ = tokio::time::timeout(Duration::from_micros(number * 200), work).await;
            })
        })
        .collect();
    for task in tasks.into_iter().chain(leaving) {
        task.await.unwrap();
    }
    fill_one(&store, "last").await;
    let rows = store.query("SELECT id FROM things WHERE id NOT LIKE 'leaving-%'", vec![]).await.unwrap();
    assert_eq!(rows.rows.len(), 51);
}
