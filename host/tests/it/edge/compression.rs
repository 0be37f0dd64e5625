//! Compressed answers.

use super::answer;
use crate::support::{Host, Setup};
use std::collections::BTreeMap;
use tokio::io::AsyncReadExt;

/// The headers and the body of the answer to a GET. Values of one header are joined.
async fn get(host: &Host, path: &str, more: &str) -> (BTreeMap<String, String>, Vec<u8>) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n");
    let mut stream = super::sent(host, request.as_bytes()).await;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut headers = BTreeMap::from([("status".to_owned(), head[9..12].to_owned())]);
    for (name, value) in head.lines().skip(1).map(|line| line.split_once(": ").unwrap()) {
        headers.entry(name.to_owned()).and_modify(|all| *all = format!("{all}, {value}")).or_insert(value.to_owned());
    }
    (headers, bytes[end + 4..].to_vec())
}

/// The path of a script of the first page.
async fn asset(host: &Host) -> String {
    let page = host.visitor().get("/").await.text;
    let start = page.find("/assets/").unwrap();
    page[start..].split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn an_asset_is_compressed_for_clients_that_take_gzip() {
    let host = Setup::new().start().await;
    let path = asset(&host).await;
    let (plain, body) = get(&host, &path, "").await;
    assert!(body.len() > 1_024 && !plain.contains_key("content-encoding"), "{plain:?}");
    assert!(plain["vary"].contains("Accept-Encoding"), "{plain:?}");
    let (headers, compressed) = get(&host, &path, "accept-encoding: br, gzip\r\n").await;
    assert_eq!(headers["content-encoding"], "gzip");
    assert_eq!(headers["etag"], format!("W/{}", plain["etag"]));
    assert!(headers["vary"].contains("Accept-Encoding") && !headers.contains_key("content-length"), "{headers:?}");
    assert!(compressed.len() < body.len(), "{} of {}", compressed.len(), body.len());
    for tag in [&headers["etag"], &plain["etag"]] {
        let (again, body) = get(&host, &path, &format!("accept-encoding: gzip\r\nif-none-match: {tag}\r\n")).await;
        assert_eq!((again["status"].as_str(), body.len()), ("304", 0), "{again:?}");
        assert!(again["vary"].contains("Accept-Encoding") && !again.contains_key("content-encoding"), "{again:?}");
    }
    // A client of its own that unpacks the answer.
    let off = Setup::new().http("compression = false\n").start().await;
    let (headers, whole) = get(&off, &path, "accept-encoding: gzip\r\n").await;
    assert!(whole == body && !headers.contains_key("content-encoding"), "{headers:?}");
}

#[tokio::test]
async fn an_answer_that_depends_on_the_visitor_is_not_compressed() {
    let host = Setup::new().start().await;
    let seller = host.user("anna").await;
    for number in 0..12 {
        seller.sell(&format!("a long enough title of a ticket, number {number}"), 20.0).await;
    }
    let text = answer(
        &host,
        "GET /api/tickets HTTP/1.1\r\nhost: localhost\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(text.len() > 1_500 && text.contains("cache-control: private, no-store"), "{text}");
    assert!(!text.contains("content-encoding"), "{text}");
}
