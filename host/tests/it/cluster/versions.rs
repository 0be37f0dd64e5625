//! Hosts beside a host of a newer version, as during an upgrade. The tests
//! change the database and the broker as the newer host would.

use super::{hosts, joined, named};
use crate::support::{Host, NatsServer, PluginFile, Setup, chameleon, eventually, guest, postgres};
use async_nats::HeaderMap;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use std::{collections::BTreeSet, ops::Range, path::Path, time::Duration};
use tokio::task::JoinHandle;

const NEWER: &str = "99.0.0";
/// The newer host's entry in the table of hosts, with fields and plugins that
/// older hosts do not know.
const RUNS: &str = r#"{
    "orders": {"revision": "9.0.0+cafe", "held": false, "mood": {"good": true}, "subscribes": ["order.refunded"]},
    "things": ["not", "an", "object"]
}"#;

/// Executes statements one by one. A statement that waits for a table must not
/// hold a lock on another table meanwhile.
async fn run(connection: &mut PgConnection, statements: &[String]) {
    for statement in statements {
        let ran = connection.execute(AssertSqlSafe(statement.clone())).await;
        ran.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// Changes the database as a newer version may: adds a column with a default to
/// each of the host's tables, a table, and a function.
async fn migrates(url: &str) {
    let mut connection = postgres::connect(url).await.unwrap();
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'ticketing_host'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    let columns = tables
        .iter()
        .map(|table| format!("ALTER TABLE ticketing_host.{table} ADD COLUMN newer TEXT NOT NULL DEFAULT 'x'"));
    let mut statements: Vec<String> = columns.collect();
    statements.extend(
        [
            "CREATE TABLE ticketing_host.newer_things (id TEXT PRIMARY KEY)",
            "CREATE FUNCTION ticketing_host.store_cancel_timer(TEXT, TEXT, TEXT) RETURNS BOOLEAN LANGUAGE sql AS 'SELECT true'",
            "INSERT INTO ticketing_host.schema_steps (module, taken) VALUES ('newer things', 3)",
            "UPDATE ticketing_host.schema_steps SET taken = taken + 1",
        ]
        .map(str::to_owned),
    );
    run(&mut connection, &statements).await;
}

/// A newer host that lives, agrees to every proposal and sends notifications
/// that older hosts do not know, until the task is aborted.
async fn newer_host(url: &str) -> JoinHandle<()> {
    let mut connection = postgres::connect(url).await.unwrap();
    let now = "(extract(epoch from clock_timestamp()) * 1000)::bigint";
    let joins = format!(
        "INSERT INTO ticketing_host.cluster_hosts (id, name, version, started_ms, seen_ms, ready, runs)
         VALUES ('newer', 'newer', '{NEWER}', {now}, {now}, 1, '{RUNS}')"
    );
    run(&mut connection, &[joins]).await;
    let statements = [
        format!("UPDATE ticketing_host.cluster_hosts SET seen_ms = {now} WHERE id = 'newer'"),
        "INSERT INTO ticketing_host.cluster_answers (proposal, host)
         SELECT id, 'newer' FROM ticketing_host.cluster_proposals ON CONFLICT DO NOTHING"
            .to_owned(),
        r#"SELECT pg_notify('ticketing_store', 'newer 0 retention orders'), pg_notify('ticketing_store', '{"v": 2}'),
                  pg_notify('ticketing_changes', '{"kind": "zone", "of": ["orders"]}')"#
            .to_owned(),
    ];
    tokio::spawn(async move {
        loop {
            run(&mut connection, &statements).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
}

/// Adds fields to the plugin's stored state that older hosts do not know.
async fn remembers_more(url: &str, plugin: &str) {
    let mut connection = postgres::connect(url).await.unwrap();
    let more = |table: &str, column: &str| {
        let settings = format!("jsonb_set({column}::jsonb, '{{settings,zone}}', '\"north\"')");
        format!(
            "UPDATE ticketing_host.{table} SET {column} = jsonb_set({settings}, '{{mood}}', '\"good\"')::text
             WHERE plugin = '{plugin}'"
        )
    };
    run(&mut connection, &[more("plugin_states", "state"), more("plugin_revisions", "record")]).await;
}

async fn state(url: &str, plugin: &str) -> Value {
    let mut connection = postgres::connect(url).await.unwrap();
    let state: String = sqlx::query_scalar("SELECT state FROM ticketing_host.plugin_states WHERE plugin = $1")
        .bind(plugin)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    serde_json::from_str(&state).unwrap()
}

async fn colour(host: &Host) -> Value {
    host.visitor().get("/chameleon").await.json()["colour"].clone()
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn hosts_serve_start_and_agree_beside_a_newer_version_of_the_host() {
    let url = postgres::new_database().await;
    let server = NatsServer::start();
    let setup = joined(Setup::new(), &url, &server.url());
    let [one, two, three] = named(&setup);
    let mut older = Setup::start_all([one, two]).await;
    let operator = older[0].operator();
    operator.allow("chameleon", json!({ "grants": ["store"] })).await;
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;

    migrates(&url).await;
    let newer = newer_host(&url).await;
    remembers_more(&url, "chameleon").await;
    let bus = older[0].look_at_bus().await;
    let (context, prefix) = bus.streams();
    let (events, subject) = (format!("{prefix}-events"), format!("{prefix}.newer.>"));
    let mut config = context.get_stream(&events).await.unwrap().cached_info().config.clone();
    config.subjects.push(subject.clone());
    context.update_stream(config).await.unwrap();

    // One older host goes on, one starts again and one joins.
    older[1].stop().await;
    older[1].start_again().await;
    let joins = three.start().await;
    for host in older.iter().chain([&joins]) {
        host.makes_a_sale().await;
    }
    let versions: BTreeSet<String> =
        hosts(&operator).await.iter().map(|host| host["version"].as_str().unwrap().to_owned()).collect();
    assert_eq!(versions, [env!("CARGO_PKG_VERSION"), NEWER].map(str::to_owned).into());
    let ready = |seen: &Vec<String>| *seen == ["ready"; 4];
    eventually("all are ready", async || super::statuses(&operator).await, ready).await;

    let begun = state(&url, "chameleon").await;
    operator.deploy("chameleon", chameleon("2.0.0", "red", "good")).await;
    for host in older.iter().chain([&joins]) {
        assert_eq!(colour(host).await, "red");
    }
    let agreed = state(&url, "chameleon").await;
    assert_ne!(agreed["active"], begun["active"]);
    assert_eq!((&agreed["mood"], &agreed["settings"]["zone"]), (&json!("good"), &json!("north")));
    let kept = context.get_stream(&events).await.unwrap().cached_info().config.subjects.clone();
    assert!(kept.contains(&subject), "{kept:?}");
    joins.settles().await;
    assert!(joins.dead_letters().await.is_empty());
    newer.abort();
}

/// The control. A change of the host's tables that the rules forbid breaks the
/// hosts that were there before.
#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn a_change_of_the_hosts_tables_that_is_not_an_addition_breaks_older_hosts() {
    let url = postgres::new_database().await;
    let setup = joined(Setup::new(), &url, &NatsServer::shared().url());
    let host = setup.start().await;
    let mut connection = postgres::connect(&url).await.unwrap();
    run(&mut connection, &["ALTER TABLE ticketing_host.cluster_hosts RENAME runs TO plugins".to_owned()]).await;
    eventually("the host is not ready", async || host.outsider().get("/readyz").await.status, |status| *status == 503)
        .await;
    let refused = setup.beside().output("serve").await;
    assert!(!refused.status.success());
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("the table of hosts"), "{message}");
}

/// A setup with this plugin file in its settings.
fn with_file(setup: &Setup, file: &Path) -> Setup {
    setup.beside().toml(&format!("[[plugin]]\npath = {file:?}\ngrants = [\"store\", \"clocks\", \"config\"]"))
}

/// Publishes events with these ids, as another program would, and waits until
/// each has been applied once.
async fn are_applied(host: &Host, ids: Range<usize>) {
    let bus = host.look_at_bus().await;
    let (other_program, _) = bus.streams();
    for id in ids.clone() {
        let mut headers = HeaderMap::new();
        headers.insert("ce-id", format!("news {id}"));
        let body = json!({ "id": format!("news {id:03}") }).to_string();
        let sent = other_program.publish_with_headers(host.subject("chameleon.news"), headers, body.into()).await;
        sent.unwrap().await.unwrap();
    }
    let visitor = host.visitor();
    let applied = async || visitor.get("/chameleon/applied").await.json().as_array().unwrap().clone();
    let applied = eventually("all are applied", applied, |applied| applied.len() >= ids.end).await;
    assert!(applied.iter().all(|one| one["times"] == 1 && one["colour"] == "new"), "{applied:?}");
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn two_versions_of_a_plugin_beside_each_other_lose_no_event() {
    let url = postgres::new_database().await;
    let server = NatsServer::start();
    let setup = joined(Setup::without_components(), &url, &server.url());
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.wasm"), folder.path().join("new.wasm"));
    std::fs::write(&old, chameleon("1.0.0", "old", "good")).unwrap();
    let more = PluginFile::read(&guest("chameleon"))
        .version("2.0.0")
        .with("default = \"green\"", "default = \"new\"")
        .with("subscribes = [\"chameleon.event\"]", "subscribes = [\"chameleon.event\", \"chameleon.news\"]");
    std::fs::write(&new, more.bytes()).unwrap();
    let mut hosts = Setup::start_all([with_file(&setup, &old), with_file(&setup, &new)]).await;
    let operator = hosts[0].operator();
    let both = |seen: &Vec<String>| *seen == ["ready"; 2];
    eventually("both are ready", async || super::statuses(&operator).await, both).await;
    are_applied(&hosts[1], 0..30).await;

    // The host with the older plugin starts again and sees which subjects are taken.
    hosts[0].stop().await;
    hosts[0].start_again().await;
    are_applied(&hosts[1], 30..60).await;
    assert_eq!([colour(&hosts[0]).await, colour(&hosts[1]).await], ["old", "new"]);

    // An operator's decision holds for each host's own revision.
    let paused = hosts[1].operator().post("/plugins/chameleon/pause", json!({})).await;
    assert_eq!(paused.status, 200, "{paused:?}");
    assert_eq!(hosts[0].visitor().get("/chameleon").await.status, 503);
    assert_eq!(hosts[1].operator().post("/plugins/chameleon/resume", json!({})).await.status, 200);
    assert_eq!([colour(&hosts[0]).await, colour(&hosts[1]).await], ["old", "new"]);
}
