//! A proxy between the host and a server, that behaves as a bad network does.

use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// How bytes fare at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Each portion arrives later.
    Slow(Duration),
    /// They vanish, and nobody is told.
    Hole,
    /// Connections are broken, and none is made.
    Cut,
}

/// It runs until it is dropped.
pub(crate) struct Proxy {
    port: u16,
    way: watch::Sender<Way>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let way = watch::Sender::new(Way::Open);
        let (own, ways) = (listener.local_addr().unwrap().port(), way.subscribe());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let way = *ways.borrow();
                if way != Way::Cut
                    && let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await
                {
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::spawn(pass(from_client, to_server, ways.clone()));
                    tokio::spawn(pass(from_server, to_client, ways.clone()));
                }
            }
        });
        Self { port: own, way, accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Way::Cut);
        self.accepting.abort();
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, ways: watch::Receiver<Way>) {
    let mut changes = ways.clone();
    let mut buffer = vec![0; 64 << 10];
    loop {
        tokio::select! {
            biased;
            () = cut(&mut changes) => return,
            read = from.read(&mut buffer) => {
                let Ok(count @ 1..) = read else { return };
                let way = *ways.borrow();
                if let Way::Slow(delay) = way {
                    tokio::time::sleep(delay).await;
                }
                if way != Way::Hole && to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn cut(ways: &mut watch::Receiver<Way>) {
    // Nobody there to change it any more is as good.
    let _ = ways.wait_for(|way| *way == Way::Cut).await;
}
