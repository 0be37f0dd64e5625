//! The log of one plugin, as a stream.

use crate::{
    hostile::hostile,
    support::{Client, PASSWORD, Setup, chameleon, chameleon_host},
};
use http::Method;
use reqwest::Response;
use serde_json::{Value, json};

/// A client that reads the stream of a log.
struct Reader {
    response: Response,
    text: String,
}

impl Reader {
    async fn of(client: &Client, plugin: &str) -> Self {
        Self::open(client, &format!("/plugins/{plugin}/logs")).await
    }

    async fn open(client: &Client, path: &str) -> Self {
        let response = client.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next line. None at the orderly end of the stream.
    async fn line(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.strip_prefix("data: ").map(|data| serde_json::from_str(data).unwrap());
                self.text = rest.to_owned();
                match data {
                    Some(line) => return Some(line),
                    None => continue,
                }
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test]
async fn a_reader_gets_the_lines_of_one_plugin_and_no_secrets() {
    let host = Setup::new().start().await;
    let mut tickets = Reader::of(&host.operator(), "tickets").await;
    let mut auth = Reader::of(&host.operator(), "auth").await;
    let visitor = host.visitor();
    visitor.get("/no/such/path").await;
    visitor.get("/api/orders").await;
    let user = host.user("reader").await;
    visitor.with_header("x-request-id", "the-request-of-this-test").get("/api/tickets?q=secret-search").await;

    let line = tickets.line().await.unwrap();
    assert_eq!((&line["id"], &line["component"]), (&json!("the-request-of-this-test"), &json!("tickets")));
    assert_eq!((&line["target"], &line["status"], &line["level"]), (&json!("request"), &json!(200), &json!("INFO")));
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    let line = auth.line().await.unwrap();
    assert_eq!((&line["path"], &line["status"]), (&json!("/api/users/signup"), &json!(201)));
    let session = user.cookie.unwrap();
    let session = session.strip_prefix("session=").unwrap();
    for text in [line.to_string(), tickets.text, auth.text] {
        for secret in [PASSWORD, session, "secret-search", crate::support::ADMIN_TOKEN] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn a_reader_gets_the_lines_that_it_asks_for() {
    let host = Setup::new().start().await;
    let operator = host.operator();
    let mut second = Reader::open(&operator, "/plugins/tickets/logs?level=info&text=THE-SECOND").await;
    for id in ["the-first-request", "the-second-request"] {
        host.visitor().with_header("x-request-id", id).get("/api/tickets").await;
    }
    assert_eq!(second.line().await.unwrap()["id"], "the-second-request");
    for wrong in ["level=loud", "more=1"] {
        assert_eq!(operator.get(&format!("/plugins/tickets/logs?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_log_needs_a_token_for_its_plugin_and_ends_with_the_token() {
    let host = Setup::new().start().await;
    let admin = host.operator();
    let token = admin.make_token(json!({ "name": "viewer", "role": "view", "plugins": ["orders"] })).await;
    let viewer = host.bearer(&token.text);
    host.outsider().get("/plugins/orders/logs").await.refuses(401, "Not authorized");
    let needs = "This needs a token for the plugin tickets; the token viewer is bound to orders";
    viewer.get("/plugins/tickets/logs").await.refuses(403, needs);
    admin.get("/plugins/nothing/logs").await.refuses(404, "there is no plugin nothing");

    let mut reader = Reader::of(&viewer, "orders").await;
    host.visitor().get("/api/orders").await;
    assert!(reader.line().await.is_some());
    assert_eq!(admin.delete(&format!("/tokens/{}", token.id)).await.status, 204);
    assert_eq!(reader.line().await, None);
}

#[tokio::test]
async fn readers_are_limited_and_do_not_delay_the_end_of_a_host() {
    let mut host = Setup::new().start().await;
    let operator = host.operator();
    let mut readers = Vec::new();
    for _ in 0..32 {
        readers.push(Reader::of(&operator, "tickets").await);
    }
    operator.get("/plugins/tickets/logs").await.refuses(503, "Too busy, try again");
    readers.pop();
    let free = async || operator.request(Method::GET, "/plugins/tickets/logs").send().await.unwrap();
    let again =
        crate::support::eventually("another reader may connect", free, |response| response.status() == 200).await;
    drop(again);

    host.terminate().await;
    for mut reader in readers {
        while reader.line().await.is_some() {}
    }
    assert_eq!(host.ended().await.code(), Some(0));
    assert!(!host.log().contains("the drain deadline passed"), "{}", host.log());
}

#[tokio::test]
async fn sighup_applies_another_log_filter_and_ends_nothing() {
    let mut host = Setup::new().toml("[log]\nfilter = \"warn,ticketing=info\"\n").start().await;
    let settings = host.setup.data().with_file_name("ticketing.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let visitor = host.visitor().with_header("x-request-id", "before-the-change");
    visitor.get("/api/tickets").await;

    std::fs::write(&settings, text.replace("warn,ticketing=info", "info")).unwrap();
    host.signal("HUP").await;
    let log = async || host.log();
    crate::support::eventually("the host reads its settings", log, |log| log.contains("settings again")).await;
    let visitor = host.visitor().with_header("x-request-id", "after-the-change");
    visitor.get("/api/tickets").await;
    crate::support::eventually("requests are in the log", log, |log| log.contains("after-the-change")).await;
    assert!(!host.log().contains("before-the-change"), "{}", host.log());

    std::fs::write(&settings, "[log]\nfilter = 1\n").unwrap();
    host.signal("HUP").await;
    let log = async || host.log();
    crate::support::eventually("the host refuses the file", log, |log| log.contains("keeps its settings")).await;
    assert!(!host.has_ended());
    assert_eq!(host.visitor().get("/api/tickets").await.status, 200);
}

/// The messages of the lines that the host has kept.
async fn kept(client: &Client, query: &str) -> Vec<String> {
    let mut reader = Reader::open(client, &format!("/plugins/hostile/logs?follow=false&{query}")).await;
    let mut messages = Vec::new();
    while let Some(line) = reader.line().await {
        messages.push(line["message"].as_str().unwrap_or_default().to_owned());
    }
    messages
}

#[tokio::test]
async fn the_last_lines_come_first_and_requests_are_not_among_them() {
    let host = hostile().start().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    for text in ["first", "second", "third"] {
        let script = json!({ "script": { "log": text, "lines": 1 } });
        assert_eq!(visitor.post("/hostile/answer", script).await.status, 200);
    }
    let all = async || kept(&operator, "last=500").await;
    let all =
        crate::support::eventually("three lines are kept", all, |lines| lines.contains(&"third".to_owned())).await;
    let own: Vec<_> = all.iter().filter(|line| ["first", "second", "third"].contains(&line.as_str())).collect();
    assert_eq!(own, ["first", "second", "third"], "each once, in order: {all:?}");
    assert_eq!(kept(&operator, "last=2&text=ir").await, ["first", "third"]);
    assert!(kept(&operator, "last=0").await.is_empty() && kept(&operator, "since_ms=99999999999999").await.is_empty());
    assert_eq!(kept(&operator, "since_ms=1&text=second").await, ["second"]);
    for wrong in ["last=501", "last=-1", "last=x", "since_ms=-1", "follow=perhaps"] {
        assert_eq!(operator.get(&format!("/plugins/hostile/logs?{wrong}")).await.status, 400, "{wrong}");
    }

    // Without a gap and without a repetition.
    let mut reader = Reader::open(&operator, "/plugins/hostile/logs?last=500&text=ir").await;
    let script = json!({ "script": { "log": "thirst", "lines": 1 } });
    assert_eq!(visitor.post("/hostile/answer", script).await.status, 200);
    for expected in ["first", "third", "thirst"] {
        assert_eq!(reader.line().await.unwrap()["message"], expected);
    }
    assert_eq!(operator.delete("/plugins/hostile").await.status, 204);
    assert!(kept(&operator, "last=500").await.contains(&"thirst".to_owned()), "also after the removal");
}

#[tokio::test]
async fn a_plugin_that_was_never_activated_has_a_log() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    let sick = operator.stage(chameleon("1.0.0", "green", "sick")).await;
    assert_eq!(operator.activate("chameleon", &sick).await.status, 422);
    let mut reader = Reader::open(&operator, "/plugins/chameleon/logs?last=500&follow=false").await;
    let mut lines = Vec::new();
    while let Some(line) = reader.line().await {
        lines.push(line.to_string());
    }
    assert!(!lines.is_empty(), "the failed probe is in it");
}
