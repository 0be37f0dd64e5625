//! Browsers and the operator listener.

use super::good_setup;

const PATHS: [&str; 7] =
    ["/metrics", "/openapi.json", "/healthz", "/readyz", "/plugins", "/plugins/hello/logs", "/no/such/path"];

#[tokio::test]
async fn no_route_answers_a_request_under_an_unknown_host() {
    let host = good_setup().toml("[operator]\nhosts = [\"Operators.example.com\"]\n").start().await;
    let operator = host.operator();
    for path in PATHS {
        for name in
            ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "operators.example.com.evil.example"]
        {
            let reply = operator.with_header("host", name).get(path).await;
            let message = "This listener is not known under this host name; an operator can add it to operator.hosts";
            reply.refuses(403, message);
        }
        if path.ends_with("/logs") {
            // The answer has no end.
            continue;
        }
        let expected = operator.get(path).await.status;
        for name in ["localhost:8081", "10.0.0.7", "[::1]:8081", "operators.example.com:443"] {
            assert_eq!(operator.with_header("host", name).get(path).await.status, expected, "{name} {path}");
        }
    }
    assert!(host.outsider().get("/metrics").await.text.contains("operator_foreign_requests_total 28\n"));
}

#[tokio::test]
async fn no_route_answers_a_page_of_another_site() {
    let host = good_setup().start().await;
    let operator = host.operator();
    for path in PATHS {
        for origin in ["http://evil.example", "http://127.0.0.1", "null", "http://localhost:1"] {
            let reply = operator.with_header("origin", origin).get(path).await;
            reply.refuses(403, "Requests from another site are not accepted");
        }
        let reply = operator.with_header("sec-fetch-site", "cross-site").get(path).await;
        reply.refuses(403, "Requests from another site are not accepted");
    }
    let page = operator.with_header("origin", "http://evil.example");
    assert_eq!(page.post("/plugins/hello/pause", serde_json::json!({})).await.status, 403);
    host.visitor().says_hello().await;
    let own = format!("http://{}", host.operators_address());
    assert_eq!(operator.with_header("origin", &own).get("/plugins").await.status, 200);
}
