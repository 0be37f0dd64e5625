//! Uploads with a bad transfer: slow, endless, cut off, or of an unknown type.

use super::{Installed, good};
use crate::support::{ADMIN_TOKEN, Host, PATIENCE, Reply, Setup, chameleon_host, eventually};
use futures::future::join_all;
use http::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const BOUNDARY: &str = "xxBOUNDARYxx";

/// A host with a small limit of size and of time, and two uploads at once.
async fn strict() -> Host {
    let settings = "[uploads]\nmax_bytes = 2000000\ntimeout_seconds = 2\nmax_pending_uploads = 2";
    let host = chameleon_host(Setup::without_components().private_cache().toml(settings)).await;
    host.operator().deploy("chameleon", good()).await;
    host
}

/// Asserts that everything is as before, and that the host accepts an upload.
async fn unharmed(host: &Host, before: &Installed, what: &str) {
    let same = async || host.operator().upload(good()).await.status;
    eventually(what, same, |status| *status == 200).await;
    assert_eq!(host.installed().await, *before, "{what}");
    assert_eq!(host.visitor().get("/chameleon").await.json()["colour"], "green", "{what}");
}

/// An upload whose bytes a test writes one by one.
struct RawUpload(TcpStream);

impl RawUpload {
    async fn open(host: &Host, headers: &str) -> Self {
        let mut stream = TcpStream::connect(host.operators_address()).await.unwrap();
        let head = format!(
            "POST /plugins HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n{headers}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(stream)
    }

    /// The whole answer, from the status line to the end of the connection. A host
    /// that stops reading may reset the connection.
    async fn answer(&mut self) -> String {
        let mut text = Vec::new();
        let mut part = [0; 4_096];
        let reading = async {
            while !String::from_utf8_lossy(&text).contains("\"errors\"") {
                match self.0.read(&mut part).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => text.extend_from_slice(&part[..count]),
                }
            }
        };
        timeout(PATIENCE, reading).await.expect("an answer");
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[tokio::test]
async fn a_body_of_another_kind_is_refused_before_it_is_read() {
    let host = strict().await;
    let before = host.installed().await;
    for kind in
        ["", "text/plain", "application/cbor", "application/octet-stream", "application/wasm+zstd", "multipart/mixed"]
    {
        let request = host.operator().request(Method::POST, "/plugins").body(good());
        let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
        let reply = Reply::of(request).await.unwrap();
        assert_eq!(reply.status, 415, "{kind}: {reply:?}");
        assert!(reply.errors()[0].0.contains("application/wasm"), "{reply:?}");
    }
    for coding in ["gzip", "zstd", "br", "deflate", "gzip, gzip", "identity"] {
        let reply = host.operator().with_header("content-encoding", coding).upload(good()).await;
        assert_eq!(reply.status, 415, "{coding}: {reply:?}");
        assert!(reply.errors()[0].0.contains("compressed"), "{reply:?}");
    }
    for query in ["unknown=1", "name=a&name=b", "dry_run=perhaps"] {
        let request = host.operator().request(Method::POST, &format!("/plugins?{query}")).body(good());
        let reply = Reply::of(request.header("content-type", "application/wasm")).await.unwrap();
        assert!([400, 422].contains(&reply.status), "{query}: {reply:?}");
        assert!(!reply.errors().is_empty());
    }
    let garbage = host.operator().with_header("x-plugin-signature", "%%%").upload(good()).await;
    assert_eq!(garbage.status, 400, "{garbage:?}");
    unharmed(&host, &before, "kinds").await;
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_before_it_has_arrived() {
    let host = strict().await;
    let before = host.installed().await;
    let mut announced = RawUpload::open(&host, "content-type: application/wasm\r\ncontent-length: 99999999999").await;
    let answer = announced.answer().await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("2000000 bytes"), "{answer}");

    let mut endless = RawUpload::open(&host, "content-type: application/wasm\r\ntransfer-encoding: chunked").await;
    let chunk = [b"10000\r\n".as_slice(), &vec![7; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 100 << 20 && endless.0.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 100 << 20, "the host reads more than the limit");

    let reply = host.operator().upload(vec![0; 2_000_001]).await;
    assert_eq!(reply.status, 413, "{reply:?}");
    unharmed(&host, &before, "large files").await;
}

#[tokio::test]
async fn an_endless_form_is_refused_while_it_arrives() {
    let host = strict().await;
    let before = host.installed().await;
    let form = format!("content-type: multipart/form-data; boundary={BOUNDARY}\r\ntransfer-encoding: chunked");
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let header = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"component\"\r\nx-long: ");
    let manifest = named("manifest", b"name = 'odd'");
    for (what, begin) in [
        ("before the first part", &b""[..]),
        ("in a header", header.as_bytes()),
        ("in the second part's header", &[&manifest[..], header.as_bytes()].concat()),
    ] {
        let mut wire = RawUpload::open(&host, &form).await;
        let (more, mut sent) = (chunk(&[b'x'; 1_000]), 0);
        if !begin.is_empty() {
            wire.0.write_all(&chunk(begin)).await.unwrap();
        }
        // A little more than the limit. The answer does not wait for the rest.
        while sent < 24_000 && wire.0.write_all(&more).await.is_ok() {
            sent += more.len();
        }
        let answer = wire.answer().await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{what}: {answer}");
        assert!(answer.contains("more than 16384 bytes before the content of a part"), "{what}: {answer}");
    }
    unharmed(&host, &before, "endless headers").await;
}

#[tokio::test]
async fn a_slow_upload_is_given_up_and_does_not_block_others() {
    let host = strict().await;
    let before = host.installed().await;
    let mut slow = RawUpload::open(&host, "content-type: application/wasm\r\ncontent-length: 1000").await;
    slow.0.write_all(b"\0asm").await.unwrap();
    assert_eq!(host.operator().upload(good()).await.status, 200, "another upload is possible meanwhile");
    let answer = slow.answer().await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    unharmed(&host, &before, "a slow upload").await;
}

#[tokio::test]
async fn an_upload_that_is_cut_off_leaves_nothing() {
    let host = strict().await;
    let before = host.installed().await;
    let form = format!("content-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: 1000000");
    let begin = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"component\"\r\n\r\n\0asm");
    for (headers, bytes) in [
        ("content-type: application/wasm\r\ncontent-length: 1000000", &good()[..10_000]),
        ("content-type: application/wasm\r\ntransfer-encoding: chunked", b"2710\r\n\0asm"),
        ("content-type: application/wasm\r\ntransfer-encoding: chunked", b"no number\r\n"),
        (&form, begin.as_bytes()),
    ] {
        let mut wire = RawUpload::open(&host, headers).await;
        wire.0.write_all(bytes).await.unwrap();
        drop(wire);
        unharmed(&host, &before, headers).await;
    }
}

#[tokio::test]
async fn more_uploads_than_places_are_refused_until_one_is_free() {
    let host = strict().await;
    let before = host.installed().await;
    let stalled =
        join_all((0..2).map(|_| RawUpload::open(&host, "content-type: application/wasm\r\ncontent-length: 1000")))
            .await;
    let third = async || host.operator().upload(good()).await.status;
    eventually("as many uploads as allowed are pending", third, |status| *status == 503).await;
    drop(stalled);
    unharmed(&host, &before, "places").await;
}

fn part(headers: &str, content: &[u8]) -> Vec<u8> {
    [format!("--{BOUNDARY}\r\n{headers}\r\n\r\n").as_bytes(), content, b"\r\n"].concat()
}

fn named(name: &str, content: &[u8]) -> Vec<u8> {
    part(&format!("content-disposition: form-data; name=\"{name}\""), content)
}

#[tokio::test]
async fn a_malformed_form_is_refused() {
    let host = strict().await;
    let before = host.installed().await;
    let end = format!("--{BOUNDARY}--\r\n").into_bytes();
    let component = named("component", &good());
    let manifest = named("manifest", b"name = 'odd'\nversion = '1.0.0'");
    let many: Vec<u8> = (0..2_000).flat_map(|i| named(&format!("part{i}"), b"")).collect();
    let header = format!("content-disposition: form-data; name=\"component\"\r\nx-long: {}", "x".repeat(200_000));
    for (what, body, status, reason) in [
        ("no parts", end.clone(), 400, "no part named component"),
        ("nothing at all", Vec::new(), 400, "form"),
        ("no component", [&manifest[..], &end].concat(), 400, "no part named component"),
        ("two components", [&component[..], &component, &end].concat(), 400, "component twice"),
        ("two manifests", [&manifest[..], &manifest, &component, &end].concat(), 400, "manifest twice"),
        ("an unknown part", [&component[..], &named("more", b"x"), &end].concat(), 400, "a part that is not"),
        ("many parts", [&many[..], &end].concat(), 400, "a part that is not"),
        ("a part without a name", [&part("content-disposition: form-data", b"x")[..], &end].concat(), 400, "part"),
        ("a long name", [&named(&"n".repeat(100_000), b"x")[..], &end].concat(), 413, "before the content of a part"),
        ("a long header", [&part(&header, b"x")[..], &end].concat(), 413, "before the content of a part"),
        (
            "a long beginning",
            [&vec![b' '; 200_000], &component[..], &end].concat(),
            413,
            "before the content of a part",
        ),
        ("no end", component.clone(), 400, "form"),
        ("a long manifest", [&named("manifest", &[b'#'; 300_000])[..], &component, &end].concat(), 413, "manifest"),
        ("a long signature", [&named("signature", &[b'x'; 20_000])[..], &component, &end].concat(), 413, "signature"),
        ("a manifest of bytes", [&named("manifest", b"\xff")[..], &component, &end].concat(), 400, "not UTF-8"),
        ("a large component", [&named("component", &vec![0; 2_000_001])[..], &end].concat(), 413, "2000000 bytes"),
        ("another boundary", good(), 413, "before the content of a part"),
        ("a short text", b"no form".to_vec(), 400, "form"),
    ] {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let request = host.operator().request(Method::POST, "/plugins").header("content-type", kind).body(body);
        let reply = Reply::of(request).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(reply.status, status, "{what}: {reply:?}");
        assert!(reply.errors()[0].0.contains(reason), "{what}: {reply:?}");
        assert_eq!(host.installed().await, before, "{what}");
    }
    let request = host.operator().request(Method::POST, "/plugins").header("content-type", "multipart/form-data");
    assert_eq!(Reply::of(request.body(component.clone())).await.unwrap().status, 400, "no boundary");

    let escape = "content-disposition: form-data; name=\"component\"; filename=\"../../escaped.wasm\"";
    let body = [&part(escape, &good())[..], &end].concat();
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = host.operator().request(Method::POST, "/plugins").header("content-type", kind).body(body);
    assert_eq!(Reply::of(request).await.unwrap().status, 200, "the file's name has no meaning");
    unharmed(&host, &before, "forms").await;
}
