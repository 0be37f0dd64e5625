//! A proxy between a host and a server that behaves like a bad network.

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

/// The state of the connection between the proxy and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    Up,
    /// Each portion of bytes arrives after a delay.
    Slow(Duration),
    /// Bytes vanish, and neither side notices.
    BlackHole,
    /// Connections break, and new ones fail.
    Down,
}

/// The proxy runs until this value is dropped.
pub(crate) struct Proxy {
    port: u16,
    state: watch::Sender<LinkState>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let state = watch::Sender::new(LinkState::Up);
        let (own, states) = (listener.local_addr().unwrap().port(), state.subscribe());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = *states.borrow();
                if state != LinkState::Down
                    && let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await
                {
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::spawn(pass(from_client, to_server, states.clone()));
                    tokio::spawn(pass(from_server, to_client, states.clone()));
                }
            }
        });
        Self { port: own, state, accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, state: LinkState) {
        self.state.send_replace(state);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(LinkState::Down);
        self.accepting.abort();
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, states: watch::Receiver<LinkState>) {
    let mut changes = states.clone();
    let mut buffer = vec![0; 64 << 10];
    loop {
        tokio::select! {
            biased;
            () = until_down(&mut changes) => return,
            read = from.read(&mut buffer) => {
                let Ok(count @ 1..) = read else { return };
                let state = *states.borrow();
                if let LinkState::Slow(delay) = state {
                    tokio::time::sleep(delay).await;
                }
                if state != LinkState::BlackHole && to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn until_down(states: &mut watch::Receiver<LinkState>) {
    // An error means that the proxy was dropped, which also ends the connection.
    let _ = states.wait_for(|state| *state == LinkState::Down).await;
}
