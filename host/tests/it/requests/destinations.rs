//! The destinations: only those that the policy of the plugin allows.

use super::{host_for, is_well, requesting, requesting_host, send, tell};
use crate::support::{LocalServer, Setup, hostile_authorities, hostile_paths};
use serde_json::json;

#[tokio::test]
async fn the_import_needs_the_grant_and_the_verdict_names_it() {
    let host = Setup::without_components().start().await;
    let operator = host.operator();
    operator.allow("requesting", json!({ "grants": ["store"] })).await;
    let refused = operator.upload(requesting().bytes()).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let command = "ticketing plugin policy requesting --grant http";
    assert!(refused.text.contains("needs the grant http") && refused.text.contains(command), "{refused:?}");
}

#[tokio::test]
async fn only_the_allowed_host_is_reached_and_no_redirect_is_followed() {
    let forbidden = LocalServer::redirecting("/").await;
    let allowed = LocalServer::redirecting(&forbidden.url()).await;
    let host = host_for(&allowed).await;
    let visitor = host.visitor();

    let url = format!("{}a?b=c#d", allowed.url());
    let headers = [("x-own", "1"), ("host", "127.0.0.1"), ("content-length", "7"), ("transfer-encoding", "chunked")];
    let wanted = json!({ "method": "PUT", "url": url, "headers": headers, "body_bytes": 3 });
    let outcome = send(&visitor, wanted).await;
    let expected = json!({ "status": 302, "location": forbidden.url(), "cookie": null, "body": "inside", "bytes": 6 });
    assert_eq!(outcome, expected);
    let head = allowed.take_requests().remove(0);
    assert!(head.starts_with("put /a?b=c http/1.1\r\n") && head.contains("x-own: 1\r\n"), "{head}");
    assert!(head.contains("content-length: 3\r\n") && !head.contains("transfer-encoding"), "{head}");
    let own = format!("host: {}\r\n", allowed.address);
    assert!(head.contains(&own) && head.matches("host:").count() == 1, "{head}");
    assert!(forbidden.take_requests().is_empty(), "no request reached the other host");
    is_well(&host).await;
}

#[tokio::test]
async fn hostile_destinations_are_refused() {
    let (forbidden, allowed) = (LocalServer::redirecting("/").await, LocalServer::redirecting("/").await);
    let host = host_for(&allowed).await;
    let visitor = host.visitor();
    let authorities = hostile_authorities(allowed.address, forbidden.address);
    let mut urls: Vec<String> = authorities.iter().map(|authority| format!("http://{authority}/")).collect();
    urls.extend(hostile_paths(forbidden.address).iter().map(|path| format!("http://{}{path}", allowed.address)));
    let authority = allowed.address;
    urls.extend([
        format!("https://user@{authority}/"),
        format!("ftp://{authority}/"),
        format!("//{authority}/"),
        format!("{authority}/"),
        "/".to_owned(),
        "http:///".to_owned(),
        format!(" http://{authority}/"),
        format!("http://{authority}/\r\nhost: evil"),
    ]);
    for url in urls {
        let outcome = send(&visitor, json!({ "url": url })).await;
        assert!(outcome["error"] == "denied" || outcome["error"] == "invalid", "{url}: {outcome}");
    }
    for method in ["CONNECT", "connect", "GET /", "", "GET\r\n"] {
        let outcome = send(&visitor, json!({ "method": method, "url": allowed.url() })).await;
        assert_eq!(outcome["error"], "invalid", "{method:?}: {outcome}");
    }
    assert!(allowed.take_requests().is_empty() && forbidden.take_requests().is_empty());
    is_well(&host).await;
}

#[tokio::test]
async fn an_allowed_name_with_a_private_address_is_refused() {
    let inside = LocalServer::redirecting("/").await;
    let authority = format!("localhost:{}", inside.address.port());
    let host = requesting_host(std::slice::from_ref(&authority)).await;
    let outcome = send(&host.visitor(), json!({ "url": format!("http://{authority}/") })).await;
    assert_eq!(outcome["error"], "denied", "{outcome}");
    assert!(outcome["text"].as_str().unwrap().contains("not public"), "{outcome}");
    assert!(inside.take_requests().is_empty());
}

#[tokio::test]
async fn a_host_and_the_grant_can_be_taken_back_by_a_swap() {
    let inside = LocalServer::redirecting("/").await;
    let host = host_for(&inside).await;
    let (visitor, wanted) = (host.visitor(), json!({ "url": inside.url() }));
    assert_eq!(send(&visitor, wanted.clone()).await["status"], 302);
    let hosts = [inside.address.to_string()];
    for policy in [
        json!({ "grants": ["http", "store"], "http_hosts": [] }),
        json!({ "grants": ["store"], "http_hosts": hosts }),
        json!({ "grants": ["http", "store"], "http_hosts": ["127.0.0.1:1"] }),
    ] {
        host.operator().allow("requesting", policy.clone()).await;
        let outcome = send(&visitor, wanted.clone()).await;
        assert_eq!(outcome["error"], "denied", "{policy}: {outcome}");
    }
    assert_eq!(inside.take_requests().len(), 1);
    host.operator().allow("requesting", json!({ "grants": ["http", "store"], "http_hosts": hosts })).await;
    assert_eq!(send(&visitor, wanted).await["status"], 302);
    is_well(&host).await;
}

#[tokio::test]
async fn a_request_inside_a_transaction_is_refused() {
    let server = LocalServer::redirecting("/").await;
    let host = host_for(&server).await;
    let visitor = host.visitor();
    let wanted = json!({ "url": server.url() });
    let refused = tell(&visitor, "/requesting/send-in-transaction", wanted.clone()).await;
    assert_eq!(refused["error"], "in-transaction", "{refused}");
    assert!(server.take_requests().is_empty());
    assert_eq!(send(&visitor, wanted).await["status"], 302, "the transaction is over");
    is_well(&host).await;
}
