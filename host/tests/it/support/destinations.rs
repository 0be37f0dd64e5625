//! Servers that components send requests to, and the destinations that no
//! component may reach.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A server on the loopback interface, with the heads of the requests to it.
pub(crate) struct LocalServer {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl LocalServer {
    /// A server that redirects every request, with the body `inside`.
    pub(crate) async fn redirecting(elsewhere: &str) -> Self {
        let text = "inside";
        Self::answering(&format!(
            "HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
            text.len()
        ))
        .await
    }

    /// A server that answers every request with this text.
    pub(crate) async fn answering(answer: &str) -> Self {
        let answer: Arc<str> = answer.into();
        Self::talking(move |mut stream| {
            let answer = answer.clone();
            async move {
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
                // A socket that is closed with unread bytes resets its connection.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        })
        .await
    }

    /// A server that does this with each connection, after the head of the
    /// request.
    pub(crate) async fn talking<F>(talk: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (heads, talk) = (requests.clone(), Arc::new(talk));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (heads, talk) = (heads.clone(), talk.clone());
                tokio::spawn(async move {
                    let head = head_of(&mut stream).await;
                    heads.lock().unwrap().push(head);
                    talk(stream).await;
                });
            }
        });
        Self { address, requests }
    }

    /// The heads since the last time, in lower case.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// The number of requests since the last time that somebody took them.
    pub(crate) fn request_count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

async fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&head).to_lowercase()
}

/// Authorities that lead past the address `granted`, or that some parser takes for
/// it. A component with that grant must reach none of them.
pub(crate) fn hostile_authorities(granted: SocketAddr, forbidden: SocketAddr) -> Vec<String> {
    let (port, other) = (granted.port(), forbidden.port());
    vec![
        forbidden.to_string(),
        format!("localhost:{port}"),
        format!("127.0.0.1:{other}"),
        format!("127.1:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f000001:{port}"),
        format!("0177.0.0.1:{port}"),
        format!("127.0.0.1.:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("[::ffff:7f00:1]:{port}"),
        format!("[::127.0.0.1]:{port}"),
        format!("0.0.0.0:{port}"),
        format!("%31%32%37.0.0.1:{port}"),
        format!("127.0.0.1:0{port}"),
        format!("127.0.0.1:{port}:{other}"),
        format!("user@127.0.0.1:{port}"),
        format!("127.0.0.1:{port}@127.0.0.1:{other}"),
        format!("127.0.0.1:{port}\\@127.0.0.1:{other}"),
        format!("169.254.169.254:{port}"),
    ]
}

/// Paths that make another authority of a granted one, if somebody joins the texts.
pub(crate) fn hostile_paths(forbidden: SocketAddr) -> Vec<String> {
    let other = forbidden.port();
    vec![format!("http://127.0.0.1:{other}/"), format!("@127.0.0.1:{other}/"), format!(".evil.com:{other}/")]
}
