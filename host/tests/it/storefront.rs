//! The pages of the storefront as HTTP answers.

use crate::support::{Client, Reply, Setup};
use http::Method;

const ID: &str = "018bcfe5-6800-7000-8000-000000000000";

fn pages() -> [String; 9] {
    [
        "/",
        "/?q=opera",
        "/sell",
        "/selling",
        "/orders",
        "/signin",
        "/signup",
        &format!("/tickets/{ID}"),
        &format!("/orders/{ID}"),
    ]
    .map(str::to_owned)
}

async fn get_with(client: &Client, path: &str, name: &str, value: &str) -> Reply {
    client.with_header(name, value).get(path).await
}

#[tokio::test]
async fn pages_are_the_same_for_everybody_and_take_nothing_from_elsewhere() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for path in pages() {
        let page = host.visitor().get(&path).await;
        assert_eq!(page.status, 200, "{page:?}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert!(page.text.starts_with("<!doctype html>"), "{path}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(page.header("set-cookie").is_none(), "{path}");
        assert_eq!(anna.get(&path).await.text, page.text, "{path}");
    }
}

#[tokio::test]
async fn a_page_in_the_browser_cache_is_not_sent_again() {
    let host = Setup::new().start().await;
    let visitor = host.visitor();
    let page = visitor.get("/").await;
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let files: Vec<_> = page.text.split('"').filter(|text| text.starts_with("/assets/")).map(str::to_owned).collect();
    assert_eq!(files.len(), 10, "{files:?}");
    for path in &files {
        let file = visitor.get(path).await;
        assert_eq!(file.status, 200, "{path}");
        assert!(file.header("cache-control").unwrap().ends_with("immutable"), "{path}");
    }
    for path in files.iter().map(String::as_str).chain(["/"]) {
        let etag = visitor.get(path).await.header("etag").unwrap().to_owned();
        let again = get_with(&visitor, path, "if-none-match", &etag).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{path}");
        let other = get_with(&visitor, path, "if-none-match", "\"other\"").await;
        assert_eq!(other.status, 200, "{path}");
    }
}

#[tokio::test]
async fn pages_answer_reads_alone_and_leave_the_api_alone() {
    let host = Setup::new().start().await;
    let visitor = host.visitor();
    for path in pages() {
        visitor.send(Method::POST, &path, None).await.refuses(405, "Method Not Allowed");
    }
    for path in ["/tickets/nonsense", "/orders/1", "/assets/0/unknown"] {
        let page = visitor.get(path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(page.text.contains("<h1>Not found</h1>"), "{path}");
    }
    visitor.get("/api/unknown").await.refuses(404, "Not Found");
    visitor.get("/unknown").await.refuses(404, "Not Found");
}
