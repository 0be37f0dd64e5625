//! Outgoing requests to servers of the test, with a resolver that lies.

use super::*;
use async_trait::async_trait;
use http_body_util::Full;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Mutex,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Returns the next of these answers at each call.
struct LyingResolver(Mutex<Vec<Vec<IpAddr>>>);

#[async_trait]
impl NameResolver for LyingResolver {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        if answers.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(answers.remove(0)) }
    }
}

fn client(answers: &[&[&str]], granted: &[String]) -> (OutboundClient, Arc<LyingResolver>) {
    let answers = answers.iter().map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect()).collect();
    let resolver = Arc::new(LyingResolver(Mutex::new(answers)));
    let outbound = Outbound::new(resolver.clone());
    (outbound.client_for("test", granted, 5_000).unwrap(), resolver)
}

/// Answers every connection with these bytes, and returns the requests.
async fn server(answer: &'static str) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = sender.send(String::from_utf8_lossy(&request).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, receiver)
}

fn get(uri: &str) -> Request<WasiBody> {
    Request::get(uri).body(Full::default().map_err(|error| match error {}).boxed_unsync()).unwrap()
}

async fn text(response: Response<WasiBody>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
}

#[tokio::test]
async fn a_granted_address_is_reached_and_its_redirect_is_not_followed() {
    let (address, mut requests) =
        server("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\nno").await;
    let (client, _) = client(&[], &[address.to_string()]);
    let mut request = get(&format!("http://{address}/a?b"));
    request.headers_mut().insert("host", "metadata.internal".parse().unwrap());
    request.headers_mut().insert("x-own", "yes".parse().unwrap());
    let response = client.send(request, RequestOptions::default(), None).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(text(response).await, "no");
    let head = requests.recv().await.unwrap().to_lowercase();
    assert!(head.starts_with("get /a?b http/1.1"), "{head}");
    assert!(head.contains(&format!("host: {address}")) && !head.contains("metadata"), "{head}");
    assert!(head.contains("x-own: yes"), "{head}");
}

#[tokio::test]
async fn a_destination_that_is_not_granted_is_not_resolved() {
    let (address, mut requests) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let (client, resolver) = client(&[&["8.8.8.8"]], &["example.com:80".to_owned()]);
    for uri in [format!("http://{address}/"), format!("http://localhost:{}/", address.port())] {
        let refused = client.send(get(&uri), RequestOptions::default(), None).await.unwrap_err();
        assert!(matches!(refused, Error::HttpRequestDenied), "{refused:?}");
    }
    assert_eq!(resolver.0.lock().unwrap().len(), 1);
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn a_granted_name_that_resolves_to_a_private_address_is_refused() {
    let (address, mut requests) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for private in
        [&["127.0.0.1"][..], &["8.8.8.8", "127.0.0.1"], &["::1"], &["::ffff:127.0.0.1"], &["169.254.169.254"]]
    {
        let (client, resolver) = client(&[private, &["8.8.8.8"]], &[format!("example.com:{}", address.port())]);
        let uri = format!("http://example.com:{}/", address.port());
        let refused = client.send(get(&uri), RequestOptions::default(), None).await.unwrap_err();
        assert!(matches!(refused, Error::DestinationIpProhibited), "{private:?}: {refused:?}");
        assert_eq!(resolver.0.lock().unwrap().len(), 1, "the name is resolved once");
    }
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn a_name_that_changes_its_address_does_not_lead_inside() {
    let (address, mut requests) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    // The first address passes the check, and no host has it. A second lookup
    // would return the private server, but the client makes none.
    let (client, resolver) = client(&[&["3ffe::1"], &["127.0.0.1"]], &[format!("example.com:{}", address.port())]);
    let options = RequestOptions { first_byte_timeout: Some(Duration::from_millis(300)), ..Default::default() };
    let result = client.send(get(&format!("http://example.com:{}/", address.port())), options, None).await;
    assert!(result.is_err());
    assert_eq!(resolver.0.lock().unwrap().len(), 1, "the name is resolved once");
    assert!(requests.try_recv().is_err(), "no request reached the private server");
}

#[tokio::test]
async fn a_response_that_is_too_large_or_incomplete_is_an_error() {
    let (address, _requests) = server("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n").await;
    let (large, _) = client(&[], &[address.to_string()]);
    let refused = large.send(get(&format!("http://{address}/")), RequestOptions::default(), None).await.unwrap_err();
    assert!(matches!(refused, Error::HttpResponseBodySize(_)), "{refused:?}");

    let (address, _requests) = server("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let (halved, _) = client(&[], &[address.to_string()]);
    let response = halved.send(get(&format!("http://{address}/")), RequestOptions::default(), None).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn open_requests_are_limited() {
    let (address, _requests) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let (client, _) = client(&[], &[address.to_string()]);
    let mut open = Vec::new();
    for _ in 0..MAX_REQUESTS {
        open.push(client.send(get(&format!("http://{address}/")), RequestOptions::default(), None).await.unwrap());
    }
    let refused = client.send(get(&format!("http://{address}/")), RequestOptions::default(), None).await.unwrap_err();
    assert!(matches!(refused, Error::ConnectionLimitReached), "{refused:?}");
    drop(open.pop());
    client.send(get(&format!("http://{address}/")), RequestOptions::default(), None).await.unwrap();
}
