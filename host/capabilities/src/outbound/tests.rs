//! The way out, with servers of the test's own and names that lie.

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

/// Answers with the next of these each time that it is asked.
struct Lying(Mutex<Vec<Vec<IpAddr>>>);

#[async_trait]
impl Names for Lying {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        if answers.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(answers.remove(0)) }
    }
}

fn caller(answers: &[&[&str]], granted: &[String]) -> (Caller, Arc<Lying>) {
    let answers = answers.iter().map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect()).collect();
    let names = Arc::new(Lying(Mutex::new(answers)));
    let outbound = Arc::new(Outbound::new(names.clone()).unwrap());
    (outbound.caller("test", granted, 5_000), names)
}

/// Answers every connection with these bytes, and gives what it was sent.
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
    let (there, mut asked) =
        server("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\nno").await;
    let (caller, _) = caller(&[], &[there.to_string()]);
    let mut request = get(&format!("http://{there}/a?b"));
    request.headers_mut().insert("host", "metadata.internal".parse().unwrap());
    request.headers_mut().insert("x-own", "yes".parse().unwrap());
    let response = caller.send(request, RequestOptions::default(), None).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(text(response).await, "no");
    let head = asked.recv().await.unwrap().to_lowercase();
    assert!(head.starts_with("get /a?b http/1.1"), "{head}");
    assert!(head.contains(&format!("host: {there}")) && !head.contains("metadata"), "{head}");
    assert!(head.contains("x-own: yes"), "{head}");
}

#[tokio::test]
async fn what_is_not_granted_is_not_even_looked_up() {
    let (there, mut asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let (caller, names) = caller(&[&["8.8.8.8"]], &["example.com:80".to_owned()]);
    for uri in [format!("http://{there}/"), format!("http://localhost:{}/", there.port())] {
        let refused = caller.send(get(&uri), RequestOptions::default(), None).await.unwrap_err();
        assert!(matches!(refused, Error::HttpRequestDenied), "{refused:?}");
    }
    assert_eq!(names.0.lock().unwrap().len(), 1);
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_granted_name_that_leads_inside_is_refused() {
    let (there, mut asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for inside in [&["127.0.0.1"][..], &["8.8.8.8", "127.0.0.1"], &["::1"], &["::ffff:127.0.0.1"], &["169.254.169.254"]]
    {
        let (caller, names) = caller(&[inside, &["8.8.8.8"]], &[format!("example.com:{}", there.port())]);
        let uri = format!("http://example.com:{}/", there.port());
        let refused = caller.send(get(&uri), RequestOptions::default(), None).await.unwrap_err();
        assert!(matches!(refused, Error::DestinationIpProhibited), "{inside:?}: {refused:?}");
        assert_eq!(names.0.lock().unwrap().len(), 1, "it is resolved once");
    }
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_name_that_changes_its_mind_does_not_lead_inside() {
    let (there, mut asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    // The first answer passes the check and is nobody's. A second look would
    // find the server inside; there is none.
    let (caller, names) = caller(&[&["3ffe::1"], &["127.0.0.1"]], &[format!("example.com:{}", there.port())]);
    let options = RequestOptions { first_byte_timeout: Some(Duration::from_millis(300)), ..Default::default() };
    let result = caller.send(get(&format!("http://example.com:{}/", there.port())), options, None).await;
    assert!(result.is_err());
    assert_eq!(names.0.lock().unwrap().len(), 1, "it is resolved once");
    assert!(asked.try_recv().is_err(), "nothing came inside");
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_stops_breaks_off() {
    let (there, _asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n").await;
    let (large, _) = caller(&[], &[there.to_string()]);
    let refused = large.send(get(&format!("http://{there}/")), RequestOptions::default(), None).await.unwrap_err();
    assert!(matches!(refused, Error::HttpResponseBodySize(_)), "{refused:?}");

    let (there, _asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let (halved, _) = caller(&[], &[there.to_string()]);
    let response = halved.send(get(&format!("http://{there}/")), RequestOptions::default(), None).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn no_more_than_the_limit_are_under_way() {
    let (there, _asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let (caller, _) = caller(&[], &[there.to_string()]);
    let mut open = Vec::new();
    for _ in 0..MAX_REQUESTS {
        open.push(caller.send(get(&format!("http://{there}/")), RequestOptions::default(), None).await.unwrap());
    }
    let refused = caller.send(get(&format!("http://{there}/")), RequestOptions::default(), None).await.unwrap_err();
    assert!(matches!(refused, Error::ConnectionLimitReached), "{refused:?}");
    drop(open.pop());
    caller.send(get(&format!("http://{there}/")), RequestOptions::default(), None).await.unwrap();
}
