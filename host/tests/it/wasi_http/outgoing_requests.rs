//! A component of WASI 0.2 that sends requests to other hosts, with the limits of
//! such requests.

use super::{WasiHttp, grant, idle, swaps_under_requests, with_query};
use crate::support::{Client, Host, LocalServer, Reply, Setup, hostile_authorities, hostile_paths};
use http::Method;
use serde_json::json;

async fn asking_host(hosts: &[String]) -> Host {
    let host = Setup::without_components().start().await;
    grant(&host.operator(), "asking", hosts).await;
    WasiHttp::rust("asking").deploy(&host.operator()).await;
    host
}

/// Lets the component send a request to this URL, and returns its answer.
async fn ask(visitor: &Client, scheme: &str, authority: &str, path: &str, header: Option<(&str, &str)>) -> Reply {
    let mut query = vec![("scheme", scheme), ("authority", authority), ("path", path)];
    if let Some((name, value)) = header {
        query.extend([("name", name), ("value", value)]);
    }
    visitor.get(&with_query("/asking/fetch", &query)).await
}

#[tokio::test]
async fn a_component_of_wasi_0_2_is_mounted_and_swapped_under_requests() {
    let host = Setup::without_components().start().await;
    grant(&host.operator(), "asking", &[]).await;
    swaps_under_requests(&host, WasiHttp::rust("asking"), "/asking/version").await;
}

#[tokio::test]
async fn requests_to_other_hosts_need_a_grant() {
    let host = Setup::without_components().start().await;
    let operator = host.operator();
    let refused = WasiHttp::rust("asking").upload(&operator).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.text.contains("needs the grant http"), "{refused:?}");
    for wrong in ["*:443", "example.com", "https://example.com:443", "127.1:80"] {
        let grants = json!({ "grants": ["http"], "http_hosts": [wrong] });
        let reply = operator.set_policy("asking", grants).await;
        assert_eq!((reply.status, reply.errors()[0].1.as_deref()), (422, Some("http_hosts")), "{wrong}: {reply:?}");
    }
}

#[tokio::test]
async fn only_the_granted_host_is_reached_and_no_redirect_leads_further() {
    let forbidden = LocalServer::redirecting("/").await;
    let granted = LocalServer::redirecting(&format!("http://{}/", forbidden.address)).await;
    let host = asking_host(&[granted.address.to_string()]).await;
    let visitor = host.visitor();

    let authority = granted.address.to_string();
    let reply = ask(&visitor, "http", &authority, "/a?b=c", Some(("x-own", "1"))).await;
    assert_eq!((reply.status, reply.text.as_str()), (302, "inside"), "the host does not follow the redirect");
    let head = granted.take_requests().remove(0);
    assert!(head.starts_with("get /a?b=c http/1.1") && head.contains("x-own: 1"), "{head}");
    assert!(head.contains(&format!("host: {authority}")), "{head}");

    for authority in hostile_authorities(granted.address, forbidden.address) {
        let reply = ask(&visitor, "http", &authority, "/", None).await;
        assert_eq!(reply.status, 502, "{authority}: {reply:?}");
    }
    for path in hostile_paths(forbidden.address) {
        let reply = ask(&visitor, "http", &authority, &path, None).await;
        assert_eq!(reply.status, 502, "{path}: {reply:?}");
    }
    // A component cannot send another `Host` header.
    ask(&visitor, "http", &authority, "/", Some(("host", "127.0.0.1"))).await;
    ask(&visitor, "http", &authority, "//127.0.0.1:1/", None).await;
    for head in granted.take_requests() {
        assert!(head.contains(&format!("host: {authority}\r\n")) && head.matches("host:").count() == 1, "{head}");
    }
    assert!(forbidden.take_requests().is_empty(), "no request reached the other host");
}

#[tokio::test]
async fn a_granted_name_with_a_private_address_is_refused() {
    let inside = LocalServer::redirecting("/").await;
    let authority = format!("localhost:{}", inside.address.port());
    let host = asking_host(std::slice::from_ref(&authority)).await;
    let reply = ask(&host.visitor(), "http", &authority, "/", None).await;
    assert_eq!(reply.status, 502);
    assert!(reply.text.contains("DestinationIpProhibited"), "{reply:?}");
    assert!(inside.take_requests().is_empty());
}

#[tokio::test]
async fn a_grant_can_be_taken_back_by_a_swap() {
    let inside = LocalServer::redirecting("/").await;
    let authority = inside.address.to_string();
    let host = asking_host(std::slice::from_ref(&authority)).await;
    assert_eq!(ask(&host.visitor(), "http", &authority, "/", None).await.status, 302);
    let grants = json!({ "grants": ["http"], "http_hosts": [] });
    host.operator().allow("asking", grants).await;
    let reply = ask(&host.visitor(), "http", &authority, "/", None).await;
    assert!(reply.status == 502 && reply.text.contains("HttpRequestDenied"), "{reply:?}");
}

#[tokio::test]
async fn bodies_have_their_limits_in_both_directions() {
    let host = asking_host(&[]).await;
    let visitor = host.visitor();
    let reply = visitor.raw(Method::POST, "/asking/length", vec![0; 100_000]).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "Some(100000)"));
    assert_eq!(visitor.raw(Method::POST, "/asking/length", vec![0; 100_001]).await.status, 413);
    let pieces = futures::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![0_u8; 10_000])));
    let unannounced = visitor.raw(Method::POST, "/asking/length", reqwest::Body::wrap_stream(pieces)).await;
    assert_eq!(unannounced.status, 413, "{unannounced:?}");

    let endless = visitor.request(Method::GET, "/asking/endless").send().await.unwrap();
    assert!(endless.bytes().await.is_err(), "a response over the limit breaks off");
    idle(&host, "asking").await;
    assert_eq!(visitor.get("/asking/version").await.text, "asking-one");
}

/// Each question uses up a part of what tokio lets a task do at a time.
#[tokio::test]
async fn a_guest_that_asks_the_host_without_end_is_cut_off() {
    let host = asking_host(&[]).await;
    let visitor = host.visitor();
    assert_eq!(visitor.get("/asking/ready").await.status, 504);
    let late = async || visitor.request(Method::GET, "/asking/ready-late").send().await.unwrap();
    assert!(late().await.bytes().await.is_err(), "half a response must not look complete");
    idle(&host, "asking").await;
    drop(late().await);
    idle(&host, "asking").await;
}

#[tokio::test]
async fn a_failure_in_a_guest_ends_one_call() {
    let host = asking_host(&[]).await;
    let visitor = host.visitor();
    for path in ["/asking/silent", "/asking/refuse", "/asking/grow"] {
        assert_eq!(visitor.get(path).await.status, 500, "{path}");
        assert_eq!(visitor.get("/asking/version").await.text, "asking-one", "after {path}");
    }
    // The trap may come before the head of the response.
    let half = async { visitor.request(Method::GET, "/asking/trap").send().await?.bytes().await };
    assert!(half.await.is_err(), "half a response must not look complete");
    assert_eq!(visitor.get("/asking/version").await.text, "asking-one");
}
