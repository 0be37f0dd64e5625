//! Tests of transactions that wait for the writer and share commits.

use super::{HEAVY, fill, fill_one, open};
use crate::{Error, conformance::tables, limits::Limits};
use std::time::Duration;
use tokio::time::{sleep, timeout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_change_rolls_back_its_group_and_every_member_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits { statement_ms: 200, ..Limits::default() }).await;
    tables(&store).await;
    fill(&store, 300, 1).await;
    // The first transaction holds the writer until the second waits for it.
    let mut first = store.begin().await.unwrap();
    first.execute("INSERT INTO things (id, n) VALUES ('first', 0)", vec![]).await.unwrap();
    let other = store.clone();
    let second = tokio::spawn(async move {
        let mut transaction = other.begin().await.unwrap();
        let result = transaction.execute(&format!("UPDATE things SET n = ({HEAVY})"), vec![]).await;
        (result, transaction.commit().await)
    });
    sleep(Duration::from_millis(50)).await;
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
async fn a_long_wait_for_the_writer_times_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits { wait_ms: 50, ..Limits::default() }).await;
    tables(&store).await;
    let holder = store.begin().await.unwrap();
    assert!(matches!(store.begin().await.map(drop), Err(Error::Timeout)));
    drop(holder);
    fill_one(&store, "a").await;
}

#[tokio::test]
async fn a_file_that_another_program_has_locked_stops_no_other_task() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits { wait_ms: 5_000, ..Limits::default() }).await;
    tables(&store).await;
    fill_one(&store, "a").await;
    let other = rusqlite::Connection::open(folder.path().join("components/things.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let unlocked = async {
        // This task runs on the same thread as the writer.
        sleep(Duration::from_millis(200)).await;
        other.execute_batch("COMMIT").unwrap();
    };
    timeout(Duration::from_secs(4), async { tokio::join!(fill_one(&store, "b"), unlocked) }).await.unwrap();
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
    // A caller that is dropped while it waits or commits leaves no open
    // transaction.
    let dropped: Vec<_> = (0..50)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let id = format!("dropped-{number}");
                let work = fill_one(&store, &id);
                let _ = timeout(Duration::from_micros(number * 200), work).await;
            })
        })
        .collect();
    for task in tasks.into_iter().chain(dropped) {
        task.await.unwrap();
    }
    fill_one(&store, "last").await;
    let rows = store.query("SELECT id FROM things WHERE id NOT LIKE 'dropped-%'", vec![]).await.unwrap();
    assert_eq!(rows.rows.len(), 51);
}
