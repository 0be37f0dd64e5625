//! `/openapi.json` of the public listener: the marketplace's API as its components
//! describe it.

use crate::operator_openapi::references;
use crate::support::{ADMIN_TOKEN, Host, PluginFile, Setup, component, guest};
use host_artifact::Manifest;
use host_test_support::tool;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::process::Command;

async fn document(host: &Host) -> Value {
    let reply = host.visitor().get("/openapi.json").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    reply.json()
}

fn operation<'a>(document: &'a Value, path: &str, method: &str) -> &'a Value {
    &document["paths"][path][method.to_lowercase()]
}

#[tokio::test]
async fn every_route_of_the_api_is_described() {
    let host = Setup::new().start().await;
    let document = document(&host).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for name in ["auth", "orders", "payments", "tickets"] {
        let manifest = Manifest::parse(&PluginFile::read(&component(name)).manifest).unwrap();
        for route in manifest.routes {
            for method in &route.methods {
                let described = operation(&document, &route.path, method);
                assert!(described["summary"].is_string(), "{method} {}", route.path);
                assert_eq!(described["tags"], json!([name]));
                let has_key = described["parameters"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|parameter| parameter["name"] == "Idempotency-Key"));
                assert_eq!(has_key, route.idempotent && method == "POST", "{method} {}", route.path);
            }
        }
    }
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/tickets.Ticket"), "{found:?}");
    for target in found {
        assert!(document.pointer(target.strip_prefix('#').unwrap()).is_some(), "{target} does not exist");
    }
    host.visitor().send(http::Method::POST, "/openapi.json", None).await.refuses(405, "Method Not Allowed");
}

/// A guest that describes its route `/hello`.
fn with_description(description: &Value) -> Vec<u8> {
    let mut file = PluginFile::read(&guest("hello"));
    file.openapi = Some(serde_json::to_vec(description).unwrap());
    file.bytes()
}

#[tokio::test]
async fn a_plugin_describes_its_own_routes_while_it_serves_them() {
    let host = Setup::without_components().start().await;
    let operator = host.operator();
    let get = json!({ "operationId": "greet", "responses": { "200": { "description": "A greeting." } } });
    let described = json!({ "paths": { "/hello": { "get": get } } });
    operator.deploy("hello", with_description(&described)).await;
    let before = document(&host).await;
    assert_eq!(operation(&before, "/hello", "GET")["operationId"], "hello.greet");
    let refused = "#/components/responses/Refused";
    assert_eq!(operation(&before, "/hello", "GET")["responses"]["default"]["$ref"], refused);

    for (description, reason) in [
        (json!({ "paths": { "/api/orders": { "post": get } } }), "no route of the manifest"),
        (json!({ "paths": { "/hello": { "delete": get } } }), "no method of the route"),
        (json!({ "paths": { "/hello": { "get": { "responses": [] } } } }), "in a wrong way"),
        (json!({ "paths": { "/hello": { "get": { "servers": [{ "url": "https://evil.example" }] } } } }), "servers"),
        (json!({ "paths": {}, "components": { "schemas": { "x": { "$ref": "https://evil.example" } } } }), "refers to"),
        (json!({ "paths": {}, "x": "x".repeat(70 << 10) }), "more than the 65536"),
    ] {
        let reply = operator.upload(with_description(&description)).await;
        assert!((400..500).contains(&reply.status) && reply.text.contains(reason), "{reason}: {reply:?}");
    }

    assert_eq!(operator.delete("/plugins/hello").await.status, 204);
    assert_eq!(document(&host).await["paths"], json!({}));
}

/// Runs Schemathesis on a description. Panics with its report if it finds a fault.
async fn find_faults(url: &str, header: &str, more: &[&str]) {
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                  response_schema_conformance";
    let examples = std::env::var("TICKETING_TESTS_EXAMPLES").unwrap_or_else(|_| "20".to_owned());
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(tool("schemathesis-4.32.5", "schemathesis"))
        .args(["--no-color", "run", url, "--header", header, "--checks", checks, "--max-examples", &examples])
        .args(["--generation-deterministic", "--continue-on-failure"])
        .args(["--phases", "examples,coverage,fuzzing", "--warnings", "off", "--request-timeout", "30"])
        .args(more)
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    let [report, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{report}{errors}");
}

#[tokio::test]
#[ignore = "needs Schemathesis"]
async fn no_request_makes_the_public_api_break_its_description() {
    let host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    buyer.reserve(&seller.sell("Row 1", 10.0).await.id).await;
    let url = format!("http://{}/openapi.json", host.address());
    let cookie = format!("cookie: {}", buyer.cookie.clone().unwrap());
    // The end of the session would refuse all later requests.
    find_faults(&url, &cookie, &["--exclude-operation-id", "auth.signOut"]).await;
    find_faults(&url, &cookie, &["--include-operation-id", "auth.signOut"]).await;
}

#[tokio::test]
#[ignore = "needs Schemathesis"]
async fn no_request_makes_the_operator_api_break_its_description() {
    let host = Setup::without_components().start().await;
    host.operator().deploy("hello", PluginFile::read(&guest("hello")).bytes()).await;
    let url = format!("http://{}/openapi.json", host.operators_address());
    let token = format!("authorization: Bearer {ADMIN_TOKEN}");
    // A stream has no end, so the tests of the streams read them.
    let streams = ["watch_events", "follow_changes", "follow_log"].map(|id| ["--exclude-operation-id", id]).concat();
    find_faults(&url, &token, &streams).await;
}
