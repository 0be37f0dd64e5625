//! A request whose body arrives in two parts.

use super::Host;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A request to sell a ticket, whose body has not arrived in full.
pub(crate) struct SlowRequest {
    stream: TcpStream,
    rest: &'static str,
}

impl SlowRequest {
    pub(crate) async fn begin(host: &Host) -> Self {
        let anna = host.user("anna").await;
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        let (body, rest) = ("{\"title\":\"slow\"", ",\"price\":1}");
        let head = format!(
            "POST /api/tickets HTTP/1.1\r\nhost: {}\r\ncookie: {}\r\ncontent-length: {}\r\n\r\n{body}",
            host.address(),
            anna.cookie.unwrap(),
            body.len() + rest.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The host answers a later connection, so it has accepted this one.
        assert_eq!(host.visitor().get("/api/tickets").await.status, 200);
        Self { stream, rest }
    }

    pub(crate) async fn finish(mut self) {
        self.stream.write_all(self.rest.as_bytes()).await.unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
}
