//! One component for a whole job: it answers requests by the standard's interface,
//! handles events and timers by the platform's, and uses interfaces of both.

use crate::support::{Host, Listening, LocalServer, MachineClock, PluginFile, Setup, eventually, guest};
use serde_json::{Value, json};
use std::time::SystemTime;

async fn whole_host(policy: Value) -> Host {
    host_of(Setup::without_components(), policy).await
}

async fn host_of(setup: Setup, policy: Value) -> Host {
    let host = setup.start().await;
    let operator = host.operator();
    operator.allow("whole", policy).await;
    operator.deploy("whole", PluginFile::read(&guest("whole")).bytes()).await;
    host
}

async fn tell(host: &Host, path: &str) -> String {
    let reply = host.visitor().get(path).await;
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    reply.text
}

#[tokio::test]
async fn it_answers_by_the_standard_and_handles_events_and_timers() {
    let host = whole_host(json!({ "grants": ["store", "identity", "http"] })).await;
    for text in ["one", "two", "three"] {
        assert_eq!(tell(&host, &format!("/whole/save?{text}")).await, "saved");
    }
    let rows = async || tell(&host, "/whole/rows").await;
    eventually("events and timers are handled once", rows, |rows| rows == "one 1 1\nthree 1 1\ntwo 1 1").await;
    assert_eq!(tell(&host, "/whole/services").await, "hello Ok(true) 8");
    assert!(host.log().contains("asked for the services"));
    let waited: u64 = tell(&host, "/whole/wait").await.parse().unwrap();
    assert!((50..2_000).contains(&waited), "{waited} ms");
    let plugin = host.operator().plugin("whole").await;
    assert_eq!(plugin["failures"], 0, "{plugin}");
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_transaction_that_it_leaves_open_is_rolled_back_at_the_end_of_the_call() {
    let host = whole_host(json!({ "grants": ["store", "identity", "http"] })).await;
    for text in ["one", "two", "three"] {
        assert_eq!(tell(&host, "/whole/leave-open?lost").await, "left open");
        // It would wait for the transaction that is left open.
        tell(&host, &format!("/whole/save?{text}")).await;
    }
    let rows = tell(&host, "/whole/rows").await;
    assert!(!rows.contains("lost") && rows.lines().count() == 3, "{rows}");
}

#[tokio::test]
async fn a_request_to_another_host_is_refused_while_a_transaction_is_open() {
    let server = LocalServer::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let host =
        whole_host(json!({ "grants": ["store", "identity", "http"], "http_hosts": [server.address.to_string()] }))
            .await;
    let address = server.address.to_string();
    assert_eq!(tell(&host, &format!("/whole/fetch?{address}")).await, "200");
    let refused = tell(&host, &format!("/whole/fetch-in-transaction?{address}")).await;
    assert!(refused.contains("a transaction is open"), "{refused}");
    assert_eq!(tell(&host, &format!("/whole/fetch?{address}")).await, "200");
}

#[tokio::test]
async fn another_plugin_is_asked_by_the_standards_interface() {
    let host = Setup::without_components().start().await;
    let operator = host.operator();
    operator.deploy("hello", PluginFile::read(&guest("hello")).bytes()).await;
    let all = json!({ "grants": ["store", "identity", "http"], "plugins": ["hello"] });
    operator.allow("whole", all).await;
    let file = PluginFile::read(&guest("whole"))
        .with("[config.greeting]", "[requests]\nplugins = [\"hello\"]\n[config.greeting]");
    operator.deploy("whole", file.bytes()).await;
    let hello = host.visitor().get("/hello").await.text;
    assert_eq!(tell(&host, "/whole/ask?hello.plugin/hello").await, format!("200 {hello}"));
    assert!(tell(&host, "/whole/ask?hello.plugin/nothing").await.starts_with("404 "));
    for (address, error) in [
        ("orders.plugin/", "HttpRequestDenied"),
        ("Hello.plugin/hello", "HttpRequestUriInvalid"),
        ("hello.plugin:80/hello", "HttpRequestUriInvalid"),
    ] {
        let told = tell(&host, &format!("/whole/ask?{address}")).await;
        assert!(told.contains(error), "{address}: {told}");
    }
    let refused = tell(&host, "/whole/fetch-in-transaction?hello.plugin/hello").await;
    assert!(refused.contains("a transaction is open"), "{refused}");
    assert_eq!(operator.plugin("whole").await["failures"], 0);
}

#[tokio::test]
async fn a_chain_of_its_own_calls_ends_at_its_depth_at_a_concurrency_of_one() {
    let host = Setup::without_components().start().await;
    host.operator().allow("whole", json!({ "grants": ["store", "identity", "http"] })).await;
    let file = PluginFile::read(&guest("whole")).manifest_end("\n[limits]\nconcurrency = 1\nqueue = 1\n");
    host.operator().deploy("whole", file.bytes()).await;
    let told = tell(&host, "/whole/chain").await;
    assert!(told.starts_with("200 200 200 200 ") && told.contains("LoopDetected"), "{told}");
    assert_eq!(tell(&host, "/whole/wait").await.parse::<u64>().map(|waited| waited > 0), Ok(true), "it has its turn");
    assert_eq!(host.operator().plugin("whole").await["failures"], 0);
}

#[tokio::test]
async fn times_of_a_schedule_that_pass_while_no_host_runs_are_handled_once() {
    let clock = MachineClock::new();
    let setup = Setup::without_components().on_machine_of(&clock);
    let mut host = host_of(setup, json!({ "grants": ["store", "identity", "http"] })).await;
    tell(&host, "/whole/save?hourly").await;
    let count = "SELECT count(*) FROM host_timers WHERE key = 'schedule:hourly'";
    let due = "SELECT due_ms FROM host_timers WHERE key = 'schedule:hourly'";
    let database = host.database("components/whole.db").await;
    eventually("the schedule has its timer", async || database.number(count).await, |count| *count == 1).await;
    let rows = async |host: &Host| tell(host, "/whole/rows").await;
    eventually("the other timer was handled", async || rows(&host).await, |rows| rows == "hourly 1 1").await;

    host.stop().await;
    clock.set(5);
    host.start_again().await;
    eventually("the schedule was handled", async || rows(&host).await, |rows| rows == "hourly 1 2").await;
    // Five times have passed. The commit that handled one of them left out the others.
    let ahead = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap() + 5 * 3_600_000;
    let next = database.number(due).await;
    assert!((ahead - 60_000..ahead + 3_660_000).contains(&next), "{next} is not in the hour after {ahead}");
    assert_eq!((rows(&host).await.as_str(), database.number(count).await), ("hourly 1 2", 1));
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn its_imports_need_the_grants_that_they_need_everywhere() {
    let host = Setup::without_components().start().await;
    let operator = host.operator();
    let reply = operator.upload(PluginFile::read(&guest("whole")).bytes()).await;
    assert_eq!(reply.status, 422, "{reply:?}");
    for grant in ["identity", "store", "http"] {
        assert!(reply.text.contains(&format!("--grant {grant}")), "{grant}: {reply:?}");
    }
}

#[tokio::test]
async fn its_answers_are_held_for_its_live_events() {
    let host = whole_host(json!({ "grants": ["store", "identity", "http"] })).await;
    let mut listening = Listening::open(&host.visitor(), "/whole/listen?room").await;
    assert_eq!(listening.data(1).await, ["from whole"]);
    for _ in 0..3 {
        assert_eq!(tell(&host, "/whole/send?room").await, "sent");
        assert_eq!(tell(&host, "/whole/send?other").await, "sent");
    }
    assert_eq!(listening.data(3).await, ["hello"; 3]);
    assert_eq!(listening.last_id, "5");
    assert_eq!(host.operator().plugin("whole").await["failures"], 0);
}
