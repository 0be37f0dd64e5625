//! The operator listener: its token, and the routes without one.

use crate::support::{Setup, SlowRequest, eventually};
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn every_protected_route_needs_the_token() {
    let host = Setup::new().start().await;
    let wrong = ["Bearer wrong", "Bearer", "Bearer ", "Basic YWRtaW46", crate::support::ADMIN_TOKEN];
    let outsider = host.outsider();
    for path in ["/plugins", "/dead-letters"] {
        outsider.get(path).await.refuses(401, "Not authorized");
        for credentials in wrong {
            outsider.with_header("authorization", credentials).get(path).await.refuses(401, "Not authorized");
        }
        assert_eq!(host.operator().get(path).await.status, 200);
    }
    let redeliver = "/dead-letters/018bcfe5-6800-7000-8000-000000000000/redeliver";
    outsider.post(redeliver, serde_json::json!({})).await.refuses(401, "Not authorized");
    let unknown = host.operator().post(redeliver, serde_json::json!({})).await;
    unknown.refuses(404, "there is no dead letter 018bcfe5-6800-7000-8000-000000000000");
    host.operator().get("/unknown").await.refuses(404, "Not Found");
    host.operator().get("/api/tickets").await.refuses(404, "Not Found");
}

#[tokio::test]
async fn the_loaded_plugins_are_listed() {
    let host = Setup::new().start().await;
    let reply = host.operator().get("/plugins").await;
    let mut names: Vec<_> =
        reply.json().as_array().unwrap().iter().map(|plugin| plugin["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["auth", "expiration", "orders", "payments", "storefront", "tickets"]);
    assert_eq!(reply.json()[0]["version"], "1.0.0", "{reply:?}");
}

#[tokio::test]
async fn health_readiness_and_metrics_are_open() {
    let host = Setup::new().start().await;
    let outsider = host.outsider();
    assert_eq!(outsider.get("/healthz").await.status, 200);
    assert_eq!(outsider.get("/readyz").await.status, 200);
    host.visitor().get("/api/tickets").await;
    host.visitor().get("/api/tickets/018bcfe5-6800-7000-8000-000000000000").await;
    host.visitor().get("/no/such/path-that-nobody-knows").await;
    let metrics = outsider.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    let counted = |parts: &[&str]| {
        let mut lines = metrics.text.lines().filter(|line| line.starts_with("http_requests_total{"));
        lines.any(|line| parts.iter().all(|part| line.contains(part)) && line.ends_with(" 1"))
    };
    assert!(counted(&["component=\"tickets\"", "route=\"/api/tickets\"", "status=\"2xx\""]), "{}", metrics.text);
    assert!(counted(&["component=\"tickets\"", "route=\"/api/tickets/{id}\"", "status=\"4xx\""]), "{}", metrics.text);
    assert!(!metrics.text.contains("path-that-nobody-knows"), "no label is made of a request");
}

#[tokio::test]
async fn a_missing_token_is_generated_once_in_a_private_file() {
    let mut host = Setup::new().generated_token().start().await;
    let path = host.announced_token().to_owned();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = std::fs::read_to_string(&path).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    assert_eq!(host.outsider().with_header("authorization", &bearer).get("/plugins").await.status, 200);
    host.operator().get("/plugins").await.refuses(401, "Not authorized");

    host.stop().await;
    host.start_again().await;
    assert_eq!(host.outsider().with_header("authorization", &bearer).get("/plugins").await.status, 200);
}

#[tokio::test]
async fn a_host_that_drains_is_not_ready() {
    let mut host = Setup::new().start().await;
    let outsider = host.outsider();
    let slow = SlowRequest::begin(&host).await;
    host.terminate().await;
    let gone = async || outsider.attempt(http::Method::GET, "/readyz", None).await.map(|reply| reply.status);
    eventually("the host is not ready", gone, |status| *status != Some(200)).await;
    assert!(!host.has_ended());
    slow.finish().await;
    assert_eq!(host.ended().await.code(), Some(0));
}
