//! Requests to other hosts and plugins from the handlers of events and timers.

use crate::support::{Client, LocalServer, PluginFile, Setup, eventually, guest};
use serde_json::{Value, json};

async fn result(visitor: &Client, id: &str) -> Value {
    let reply = async || visitor.get(&format!("/requesting/results/{id}")).await;
    eventually("the handler has stored its result", reply, |reply| reply.status == 200).await.json()
}

#[tokio::test]
async fn handlers_of_events_and_timers_send_requests_before_they_use_their_transaction() {
    let server = LocalServer::redirecting("/").await;
    let host = Setup::without_components().start().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    let hosts = [server.address.to_string()];
    operator.allow("requesting", json!({ "grants": ["http", "store"], "http_hosts": hosts })).await;
    // The handlers run although one call runs at a time.
    let file = PluginFile::read(&guest("requesting")).manifest_end("concurrency = 1\n");
    operator.deploy("requesting", file.bytes()).await;
    let url = format!("http://{}/", server.address);
    for (id, writes_first) in [("early", false), ("late", true)] {
        let wanted = json!({ "id": id, "url": url, "writes_first": writes_first });
        assert_eq!(visitor.post("/requesting/later", wanted).await.status, 202);
    }
    for handler in ["event", "timer"] {
        assert_eq!(result(&visitor, &format!("{handler}-early")).await["status"], 302);
        let refused = result(&visitor, &format!("{handler}-late")).await;
        assert_eq!(refused["error"], "in-transaction", "{handler}: {refused}");
    }
    assert_eq!(server.take_requests().len(), 2);
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn handlers_of_events_and_timers_call_other_plugins() {
    let host = Setup::without_components().start().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    let file = || PluginFile::read(&guest("requesting")).manifest_end("concurrency = 1\n");
    operator.allow("answering1", json!({ "grants": ["http", "store"] })).await;
    operator.deploy("answering1", file().renamed("requesting", "answering1").bytes()).await;
    operator.allow("requesting", json!({ "grants": ["http", "store"], "plugins": ["answering1"] })).await;
    let file = file().with("[limits]", "[requests]\nplugins = [\"answering1\"]\n\n[limits]");
    operator.deploy("requesting", file.bytes()).await;
    for (id, writes_first) in [("early", false), ("late", true)] {
        let wanted =
            json!({ "id": id, "url": "http://answering1.plugin/answering1/private", "writes_first": writes_first });
        assert_eq!(visitor.post("/requesting/later", wanted).await.status, 202);
    }
    for handler in ["event", "timer"] {
        let answer = result(&visitor, &format!("{handler}-early")).await;
        assert!(answer["body"].as_str().is_some_and(|body| body.contains("\"principal\":null")), "{answer}");
        let refused = result(&visitor, &format!("{handler}-late")).await;
        assert_eq!(refused["error"], "in-transaction", "{handler}: {refused}");
    }
    assert!(host.dead_letters().await.is_empty());
}
