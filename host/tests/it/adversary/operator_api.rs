//! What operators, and holders of tokens that are bound to a plugin, get to see.

use crate::{
    hostile::hostile,
    support::{Client, Host, PluginFile, Reply, Setup, eventually, guest},
};
use http::Method;
use serde_json::{Value, json};

const MAX_ANSWER_BYTES: usize = (1 << 20) + (64 << 10);

/// Publishes events of this size that the guest refuses.
async fn refused_events(host: &Host, count: usize, bytes: usize) {
    let visitor = host.visitor();
    for number in 0..count {
        let id = format!("{number}-{}", "x".repeat(bytes));
        let event = json!({ "id": id, "mood": "reject", "subject": "hostile.event" });
        let reply = visitor.post("/hostile/publish", event).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
}

async fn letters(client: &Client, query: &str) -> (Vec<Value>, Reply) {
    let reply = client.get(&format!("/dead-letters{query}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    (reply.json().as_array().unwrap().clone(), reply)
}

#[tokio::test]
async fn dead_letters_are_listed_in_pages_without_payloads_and_can_be_discarded() {
    let host = hostile().start().await;
    let operator = host.operator();
    refused_events(&host, 30, 3_000).await;
    let all = async || letters(&operator, "?limit=1000").await.0.len();
    eventually("all are set aside", all, |count| *count == 30).await;

    let (list, reply) = letters(&operator, "?limit=1000").await;
    assert!(reply.text.len() < 30 * 1_000, "{} bytes", reply.text.len());
    assert!(
        list.iter().all(|letter| letter.get("payload").is_none() && letter["payload_bytes"].as_u64() > Some(3_000))
    );
    let mut seen = Vec::new();
    let mut path = "?limit=7".to_owned();
    loop {
        let (page, reply) = letters(&operator, &path).await;
        assert!(page.len() <= 7);
        seen.extend(page.into_iter().map(|letter| letter["id"].clone()));
        let Some(next) = reply.next_page() else { break };
        path = next.strip_prefix("/dead-letters").unwrap().to_owned();
    }
    let ids: Vec<Value> = list.iter().map(|letter| letter["id"].clone()).collect();
    assert_eq!(seen, ids, "the pages have each letter once and in order");
    for wrong in ["?limit=0", "?limit=1001", "?after=x", "?after=.", "?before=1", "?after=-1.x"] {
        assert_eq!(operator.get(&format!("/dead-letters{wrong}")).await.status, 400, "{wrong}");
    }

    let one = format!("/dead-letters/{}", ids[0].as_str().unwrap());
    let whole = operator.get(&one).await.json();
    assert!(whole["payload"].as_str().unwrap().len() > 6_000);
    assert_eq!(operator.delete(&one).await.status, 204);
    assert_eq!(operator.delete(&one).await.status, 404);
    assert_eq!(operator.get(&one).await.status, 404);
    assert_eq!(all().await, 29);
    let rows = operator.get("/audit").await.json();
    assert!(rows.as_array().unwrap().iter().any(|row| row["action"] == "discard" && row["plugin"] == "hostile"));
}

#[tokio::test]
async fn a_component_has_a_limited_number_of_dead_letters() {
    let path = guest("hostile");
    let setup = Setup::without_components().toml("[quotas]\ndead_letters = 5");
    let host = setup.start().await;
    let operator = host.operator();
    operator.allow("hostile", json!({ "grants": ["store"] })).await;
    operator.deploy("hostile", std::fs::read(path).unwrap()).await;
    refused_events(&host, 12, 10).await;
    let newest = async || letters(&operator, "").await.0.iter().any(|letter| letter["subject_id"].is_string());
    eventually("some are set aside", newest, |some| *some).await;
    let dropped = async || {
        let text = host.outsider().get("/metrics").await.text;
        let line = text.lines().find(|line| line.starts_with("dead_letters_dropped_total"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    eventually("the oldest are dropped", dropped, |dropped| *dropped >= 7.0).await;
    assert_eq!(letters(&operator, "").await.0.len(), 5);
}

#[tokio::test]
async fn every_list_is_limited_in_rows_and_bytes() {
    let host = hostile().start().await;
    let operator = host.operator();
    for number in 0..5 {
        // About 200 KB of routes each.
        let routes: String = (0..990)
            .map(|route| format!("[[routes]]\npath = \"/wide{number}/{route:0160}\"\nmethods = [\"GET\"]\n"))
            .collect();
        let file = PluginFile::read(&guest("hello"))
            .with("name = \"hello\"", &format!("name = \"wide{number}\""))
            .with("/hello", &format!("/wide{number}"))
            .with("/hello", &format!("/wide{number}"))
            .manifest_end(&format!("\n{routes}"));
        let staged = operator.upload(file.bytes()).await;
        assert_eq!(staged.status, 201, "{staged:?}");
        let revision = staged.json()["revision"].as_str().unwrap().to_owned();
        assert_eq!(operator.activate(&format!("wide{number}"), &revision).await.status, 200);
    }
    for number in 0..30 {
        operator.make_token(json!({ "name": format!("token-{number}"), "role": "view" })).await;
    }
    for (path, count) in [
        ("/plugins", 7),
        ("/tokens", 30),
        ("/audit", 40),
        ("/plugins/wide0/revisions", 1),
        ("/events", 1),
        ("/timers", 1),
    ] {
        for limit in ["limit=1000", "limit=3", ""] {
            let mut rows = 0;
            let mut next = Some(format!("{path}?{limit}"));
            while let Some(path) = next {
                let reply = operator.get(&path).await;
                assert_eq!(reply.status, 200, "{path}: {reply:?}");
                assert!(reply.text.len() < MAX_ANSWER_BYTES, "{path}: {} bytes", reply.text.len());
                rows += reply.json().as_array().unwrap().len();
                next = reply.next_page();
            }
            assert!(rows >= count, "{path}?{limit}: {rows} rows");
        }
        for wrong in ["limit=0", "limit=1001", "limit=x", "unknown=1"] {
            assert_eq!(operator.get(&format!("{path}?{wrong}")).await.status, 400, "{path}?{wrong}");
        }
    }
    let cluster = operator.get("/cluster").await;
    assert!(cluster.text.len() < MAX_ANSWER_BYTES);
}

/// The guest `hello` under a name of its own, with this route.
fn with_route(name: &str, route: &str) -> Vec<u8> {
    PluginFile::read(&guest("hello"))
        .with("name = \"hello\"", &format!("name = {name:?}"))
        .with("/hello", route)
        .with("/hello", route)
        .bytes()
}

#[tokio::test]
async fn an_answer_for_a_bound_token_names_no_other_plugin() {
    let host = hostile().start().await;
    let operator = host.operator();
    operator.deploy("mine", with_route("mine", "/mine")).await;
    refused_events(&host, 1, 10).await;
    let all = async || letters(&operator, "").await.0;
    let letter = eventually("it is set aside", all, |letters| !letters.is_empty()).await.remove(0);
    let letter = format!("/dead-letters/{}", letter["id"].as_str().unwrap());
    let token = json!({ "name": "mine-only", "role": "deploy", "plugins": ["mine"] });
    let bound = host.bearer(&operator.make_token(token).await.text);

    let mut answers = Vec::new();
    for path in [
        "/plugins",
        "/plugins?after=a",
        "/plugins/mine",
        "/plugins/mine/revisions",
        "/plugins/mine/policy",
        "/plugins/mine/failures",
        "/plugins/mine/history",
        "/cluster",
        "/audit",
        "/dead-letters",
        "/tokens",
        letter.as_str(),
    ] {
        answers.push((path.to_owned(), bound.get(path).await));
    }
    for (what, bytes) in [
        ("another's route", with_route("mine", "/hello")),
        ("another's pattern", with_route("mine", "/hostile/{other}")),
        ("a wildcard", with_route("mine", "/{*all}")),
        ("another's path with a parameter", with_route("mine", "/hostile/applied/{key}")),
    ] {
        let reply = bound.upload(bytes).await;
        assert!([403, 422].contains(&reply.status), "{what}: {reply:?}");
        answers.push((what.to_owned(), reply));
    }
    for (method, path) in [
        (Method::POST, format!("{letter}/redeliver")),
        (Method::DELETE, letter.clone()),
        (Method::POST, "/plugins/mine/promote".to_owned()),
        (Method::POST, "/plugins/mine/rollback".to_owned()),
        (Method::POST, "/plugins/mine/activate".to_owned()),
    ] {
        let reply = bound.send(method, &path, Some(json!({ "revision": "none" }))).await;
        assert!(reply.status >= 400, "{path}: {reply:?}");
        answers.push((path, reply));
    }
    answers.push(("the audit after that".to_owned(), bound.get("/audit?limit=1000").await));
    for (what, reply) in answers {
        for word in ["hostile", "hello"] {
            let named = reply.text.split(|letter: char| !(letter.is_alphanumeric() || "-_./:{}*".contains(letter)));
            assert!(named.into_iter().all(|part| part != word), "{what} names {word}: {reply:?}");
        }
    }
    let both = operator.upload(with_route("mine", "/hello")).await;
    assert!(both.text.contains("hello"), "others learn the name: {both:?}");
}
