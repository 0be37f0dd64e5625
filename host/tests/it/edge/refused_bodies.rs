//! Bodies that the host does not want. The client reads its answer all the same.

use super::{PATIENCE, greeter, rest, sent};
use crate::{
    support::{Host, Setup},
    wasi_http::WasiHttp,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// More than the buffers of a loopback connection hold.
const LARGE: usize = 12 << 20;

/// Sends the whole request, as a client does that reads nothing before it has sent all,
/// and returns what the host answers.
async fn answer_after_all(address: &str, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    timeout(PATIENCE, stream.write_all(body)).await.unwrap().unwrap_or_else(|error| panic!("{head}: {error}"));
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the host should close the connection");
    read.unwrap_or_else(|error| panic!("{head}: {error}"));
    String::from_utf8(bytes).unwrap()
}

fn head(request: &str, host: &str, more: &str) -> String {
    format!("{request} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n")
}

async fn refuses(&(request, address, more): &(&str, &str, &str), body: &[u8], status: u16) {
    let head = head(request, address, more);
    let answer = answer_after_all(address, &head, body).await;
    let is_refused = answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with("]}");
    assert!(is_refused, "{head}{}", answer.get(..500).unwrap_or(&answer));
}

async fn host_of_all() -> Host {
    let setup = Setup::new().variable("TICKETING_RATE_LIMITS", "on");
    let host = setup.toml("[rate_limits]\nroutes = { \"POST /api/users/signup\" = \"1/h\" }\n").start().await;
    WasiHttp::rust("streaming").deploy(&host.operator()).await;
    host
}

#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_gets_its_answer() {
    let host = host_of_all().await;
    let (public, operators) = (host.address(), host.operators_address());
    let announced = format!("content-type: application/json\r\ncontent-length: {LARGE}\r\n");
    let chunked = "content-type: application/json\r\ntransfer-encoding: chunked\r\n".to_owned();
    let whole = vec![b' '; LARGE];
    let chunks = [format!("{LARGE:x}\r\n").as_bytes(), &whole, b"\r\n0\r\n\r\n"].concat();
    let foreign = "origin: http://evil.example\r\n";
    for (request, address, more, status) in [
        ("POST /api/users/signin", public, "", 413),
        ("POST /nothing", public, "", 404),
        ("DELETE /api/users/signin", public, "", 405),
        ("POST /api/users/signin", public, foreign, 403),
        ("POST /api/tickets", public, "", 413),
        ("POST /plugins", operators, "", 401),
        ("POST /nothing", operators, "", 404),
    ] {
        for (encoding, body) in [(&announced, &whole), (&chunked, &chunks)] {
            refuses(&(request, address, &format!("{encoding}{more}")), body, status).await;
        }
    }
    // A body of unknown length is under way to the component before it is too large.
    refuses(&("POST /streaming/echo", public, &announced), &whole, 413).await;
    refuses(&("POST /streaming/refuse", public, &chunked), &chunks, 500).await;
}

#[tokio::test]
async fn a_connection_goes_on_after_a_small_body_that_nobody_read() {
    let host = greeter().start().await;
    let small = "POST /nothing HTTP/1.1\r\nhost: a\r\ncontent-length: 40000\r\n\r\n";
    let mut stream = sent(&host, small.as_bytes()).await;
    // The answer comes before the body.
    super::read_until(&mut stream, "]}").await;
    stream.write_all(&[b'x'; 40_000]).await.unwrap();
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let text = String::from_utf8(rest(&mut stream).await).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("\"world\"}"), "{text}");
}

#[tokio::test]
async fn a_client_that_goes_on_sending_is_cut_off() {
    let host = greeter().start().await;
    for drip in [&b"x"[..], &[b'x'; 1 << 20]] {
        let endless = "POST /nothing HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000000\r\n\r\n";
        let mut stream = sent(&host, endless.as_bytes()).await;
        super::read_until(&mut stream, "]}").await;
        let sending = async {
            while stream.write_all(drip).await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, sending).await.expect("the host should close the connection");
    }
}
