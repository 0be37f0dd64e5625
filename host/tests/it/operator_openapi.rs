//! `/openapi.json` describes the routes and answers that the operator API has.

use crate::support::Setup;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Collects every `$ref` in a value.
pub(crate) fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get("$ref") {
                found.insert(target.clone());
            }
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_route_is_documented_and_every_documented_route_exists() {
    let host = Setup::without_components().start().await;
    let (outsider, operator) = (host.outsider(), host.operator());
    let document = outsider.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    for (pattern, item) in paths {
        let path = pattern.replace("{name}", "nothing").replace("{id}", "nothing").replace("{subject}", "nothing");
        assert!(!path.contains('{'), "{pattern}");
        for method in METHODS {
            let body = (method != Method::GET).then(|| json!({}));
            let documented = item.get(method.as_str().to_lowercase());
            let Some(operation) = documented else {
                operator.send(method, &path, body).await.refuses(404, "Not Found");
                continue;
            };
            if !pattern.contains('{') && operation["responses"]["200"]["content"].get("text/event-stream").is_some() {
                // The stream has no end.
                continue;
            }
            let stranger = outsider.send(method.clone(), &path, body.clone()).await;
            assert_eq!(stranger.status == 401, operation.get("security").is_some(), "{method} {pattern}");
            let reply = operator.send(method.clone(), &path, body).await;
            let is_there = reply.status != 404 || reply.errors()[0].0 != "Not Found";
            assert!(is_there, "{method} {pattern} is documented and does not exist: {reply:?}");
            let told = operation["responses"].as_object().unwrap();
            assert!(
                told.contains_key(&reply.status.to_string()) || reply.status == 400,
                "{method} {pattern} answers {}, which is not documented",
                reply.status
            );
        }
    }
    for pattern in ["/plugins", "/plugins/{name}/activate", "/plugins/{name}/logs", "/tokens/{id}", "/audit"] {
        assert!(paths.contains_key(pattern), "{pattern}");
    }
}

#[tokio::test]
async fn the_document_is_complete() {
    let host = Setup::without_components().start().await;
    let reply = host.outsider().get("/openapi.json").await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let document = reply.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Envelope"));
    for target in found {
        let there = document.pointer(target.strip_prefix('#').unwrap());
        assert!(there.is_some(), "{target} does not exist");
    }
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let text = |field: &str| operation[field].as_str().unwrap_or_default();
            assert!(!text("summary").is_empty(), "{method} {path} has no description");
            assert!(ids.insert(text("operationId").to_owned()), "{method} {path}: another route has its id");
        }
    }
}
