//! The public listener as clients on the open internet meet it.

mod compression;
mod expectations;
mod floods;
mod host_names;
mod http2;
mod keep_alive;
mod refused_bodies;
mod systemd_sockets;
mod tls;
mod unix_sockets;

use crate::support::{Host, Setup, guest};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response, StatusCode};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The longest time that a test waits for the host.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings of a host with the good guest alone.
fn greeter() -> Setup {
    Setup::without_components().toml(&format!("[[plugin]]\npath = {:?}", guest("hello")))
}

/// A connection with these bytes sent.
async fn sent(host: &Host, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(host.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// All bytes until the host closes the connection.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset ends a connection too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the host should close the connection");
    bytes
}

/// All that the host answers to a request that asks for the end of the connection.
async fn answer(host: &Host, request: &str) -> String {
    String::from_utf8(rest(&mut sent(host, request.as_bytes()).await).await).unwrap()
}

/// Reads until these bytes have arrived.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let reading = async {
        while !text.ends_with(end.as_bytes()) {
            text.push(stream.read_u8().await.unwrap());
        }
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("{end:?} should arrive"));
    String::from_utf8(text).unwrap()
}

/// A client of HTTP/2 without TLS, and the task of its connection, which ends with it.
async fn http2_client(host: &Host) -> (SendRequest<Bytes>, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    http2_client_with(host, &h2::client::Builder::new()).await
}

async fn http2_client_with(
    host: &Host,
    builder: &h2::client::Builder,
) -> (SendRequest<Bytes>, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    let stream = TcpStream::connect(host.address()).await.unwrap();
    let (client, connection) = builder.handshake(stream).await.unwrap();
    (client, tokio::spawn(connection))
}

fn get(host: &Host, path: &str) -> Request<()> {
    Request::get(format!("http://{}{path}", host.address())).body(()).unwrap()
}

/// The status and the text of the answer to a request without a body.
async fn ask(client: &SendRequest<Bytes>, request: Request<()>) -> Result<(StatusCode, String), h2::Error> {
    let mut client = client.clone().ready().await?;
    let (answer, _) = client.send_request(request, true)?;
    let answer = timeout(PATIENCE, answer).await.expect("the host should answer")?;
    Ok((answer.status(), text(answer).await?))
}

async fn text(answer: Response<h2::RecvStream>) -> Result<String, h2::Error> {
    let (mut body, mut bytes) = (answer.into_body(), Vec::new());
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(String::from_utf8(bytes).unwrap())
}
