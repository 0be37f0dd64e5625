//! Swaps during a migration, and the end of the process during a migration.

use super::good;
use crate::support::{Client, Host, PluginFile, Reply, Setup, chameleon, chameleon_host, eventually, guest};
use http::Method;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::task::JoinHandle;

/// A revision whose migration takes seconds, because it writes more than a
/// million rows.
fn migrating() -> Vec<u8> {
    let numbers: Vec<String> = (0..35).map(|number| format!("({number})")).collect();
    let sql = format!(
        "CREATE TABLE numbers (n BIGINT NOT NULL); INSERT INTO numbers (n) VALUES {};
         CREATE TABLE many (a BIGINT NOT NULL, b BIGINT NOT NULL, c BIGINT NOT NULL, d BIGINT NOT NULL);
         INSERT INTO many (a, b, c, d) SELECT a.n, b.n, c.n, d.n FROM numbers a, numbers b, numbers c, numbers d",
        numbers.join(", ")
    );
    let file = PluginFile::read(&guest("chameleon")).version("2.0.0");
    file.with("default = \"green\"", "default = \"red\"").migration("0002_many", &sql).bytes()
}

/// Starts to activate a revision, and returns during its migration.
async fn in_the_middle(host: &Host, operator: &Client, revision: &str) -> JoinHandle<Option<Reply>> {
    let (operator, body) = (operator.clone(), json!({ "revision": revision, "force": true }));
    let activating =
        tokio::spawn(async move { operator.attempt(Method::POST, "/plugins/chameleon/activate", Some(body)).await });
    let log = host.setup.database("components/chameleon.db-wal");
    let written = async || std::fs::metadata(&log).map_or(0, |file| file.len());
    eventually("the migration runs", written, |bytes| *bytes > 4 << 20).await;
    assert!(!activating.is_finished(), "the migration has not ended yet");
    activating
}

async fn applied(operator: &Client) -> Value {
    let request = operator.request(Method::POST, "/plugins?dry_run=true").header("content-type", "application/wasm");
    Reply::of(request.body(migrating())).await.unwrap().json()["migrations"][1]["applied"].clone()
}

#[tokio::test]
async fn a_swap_during_a_migration_waits_for_its_turn_and_requests_do_not_wait() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", good()).await;
    let red = operator.stage(migrating()).await;
    let blue = operator.stage(chameleon("3.0.0", "blue", "good")).await;
    let (done, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let asking = tokio::spawn({
        let (visitor, done, answers) = (host.visitor(), done.clone(), answers.clone());
        async move {
            while !done.load(Ordering::Relaxed) {
                let reply = visitor.get("/chameleon").await;
                assert_eq!(reply.status, 200, "{reply:?}");
                answers.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let activating = in_the_middle(&host, &operator, &red).await;
    assert_eq!(host.visitor().get("/chameleon").await.json()["colour"], "green", "the old revision goes on");
    let again = operator.upload(good()).await;
    assert_eq!(again.status, 200, "the host accepts an upload meanwhile: {again:?}");
    let before = answers.load(Ordering::Relaxed);
    let second = operator.activate("chameleon", &blue).await;
    let first = activating.await.unwrap().unwrap();
    assert_eq!((first.status, second.status), (200, 200), "{first:?} {second:?}");
    assert_eq!(first.json()["migrations"], json!(["0002_many"]));
    assert_eq!(second.json()["old"], first.json()["new"], "the second swap follows the first");
    assert!(answers.load(Ordering::Relaxed) > before, "the host answers requests meanwhile");
    done.store(true, Ordering::Relaxed);
    asking.await.unwrap();
    assert_eq!(host.visitor().get("/chameleon").await.json()["colour"], "blue");
    assert_eq!(applied(&operator).await, true);
}

#[tokio::test]
async fn a_host_that_is_killed_during_a_migration_has_no_part_of_it() {
    let mut host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", good()).await;
    let red = operator.stage(migrating()).await;
    let activating = in_the_middle(&host, &operator, &red).await;
    host.kill().await;
    assert!(activating.await.unwrap().is_none_or(|reply| reply.status != 200));
    host.start_again().await;
    let operator = host.operator();
    assert_eq!(host.visitor().get("/chameleon").await.json()["colour"], "green");
    assert_eq!(applied(&operator).await, false);
    let body = json!({ "revision": red, "force": true });
    let reply = operator.post("/plugins/chameleon/activate", body).await;
    assert_eq!((reply.status, &reply.json()["migrations"]), (200, &json!(["0002_many"])), "{reply:?}");
    assert_eq!(host.visitor().get("/chameleon").await.json()["colour"], "red");
}
