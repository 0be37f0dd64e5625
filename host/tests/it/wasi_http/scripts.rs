//! Components made from scripts in JavaScript and Python.

use super::{WasiHttp, grant, swaps_under_requests, with_query};
use crate::support::{Host, Setup};
use http::Method;
use serde_json::json;
use tokio::net::TcpListener;

fn javascript() -> WasiHttp {
    WasiHttp::script("javascript", include_str!("../../scripts/javascript/plugin.toml"))
}

fn python() -> WasiHttp {
    WasiHttp::script("python", include_str!("../../scripts/python/plugin.toml"))
}

#[tokio::test]
async fn a_component_in_python_is_mounted_and_swapped_under_requests() {
    let host = Setup::without_components().start().await;
    let reply = python().upload(&host.operator()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let verdict = reply.json();
    let wanted = &verdict["capabilities"]["wanted"];
    assert_eq!(wanted, &json!(["clocks", "random"]), "the component needs no other grants: {verdict}");
    swaps_under_requests(&host, python(), "/python/version").await;
}

#[tokio::test]
async fn python_reaches_no_files_no_sockets_and_no_environment() {
    let host = Setup::without_components().start().await;
    python().deploy(&host.operator()).await;
    let mut seen = host.visitor().get("/python/surroundings").await.json();
    let seen = seen.as_object_mut().unwrap();
    println!("{seen:?}");
    // The interpreter sets variables for itself.
    let environment = seen.remove("environment").unwrap();
    assert!(environment.as_object().unwrap().keys().all(|name| name.starts_with("PYTHON")), "{environment}");
    assert_eq!(seen.len(), 6, "{seen:?}");
    for (action, outcome) in seen {
        assert!(outcome.as_str().unwrap().ends_with("Error"), "{action}: {outcome}");
    }
}

#[tokio::test]
async fn a_component_in_javascript_is_mounted_and_swapped_under_requests() {
    let host = javascript_host(&[]).await;
    swaps_under_requests(&host, javascript(), "/javascript/version").await;
}

async fn javascript_host(hosts: &[String]) -> Host {
    let host = Setup::without_components().start().await;
    grant(&host.operator(), "javascript", hosts).await;
    host
}

#[tokio::test]
async fn javascript_reads_and_streams_and_asks_only_granted_hosts() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let router = axum::Router::new().route("/", axum::routing::get(async || "from another host"));
    tokio::spawn(async move { axum::serve(server, router).await });
    let host = javascript_host(&[address.to_string()]).await;
    javascript().deploy(&host.operator()).await;
    let visitor = host.visitor();

    let reply = visitor.raw(Method::POST, "/javascript/echo", "the body").await;
    assert_eq!(reply.json(), json!({ "version": "javascript-one", "body": "the body", "email": null }));
    let pieces = visitor.get("/javascript/pieces?count=2000").await.text;
    assert!(pieces.lines().map(|line| line.parse::<u32>().unwrap()).eq(0..2000));

    let fetch = async |url: String| visitor.get(&with_query("/javascript/fetch", &[("url", &url)])).await;
    let reply = fetch(format!("http://{address}/")).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "from another host"));
    for url in [format!("http://localhost:{}/", address.port()), "http://127.0.0.1:1/".to_owned()] {
        assert_eq!(fetch(url.clone()).await.status, 502, "{url}");
    }
}
