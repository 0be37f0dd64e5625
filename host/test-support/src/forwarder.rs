//! An address that stays while the server behind it changes, as a load balancer
//! or a virtual address does. It keeps the connections that exist.

use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// Forwards connections until this value is dropped.
#[derive(Debug)]
pub struct Forwarder {
    port: u16,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    /// Where new connections lead.
    target: watch::Sender<u16>,
    /// Connections with a smaller number are silent: their bytes vanish.
    silent_below: watch::Sender<u64>,
    /// Connections so far.
    count: watch::Sender<u64>,
}

impl Forwarder {
    /// Leads to this port of the loopback interface.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            target: watch::Sender::new(port),
            silent_below: watch::Sender::new(0),
            count: watch::Sender::new(0),
        });
        let accepting = tokio::spawn({
            let state = state.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let number = *state.count.borrow();
                    state.count.send_replace(number + 1);
                    tokio::spawn(forward(client, number, state.clone()));
                }
            }
        });
        Self { port: own, state, accepting }
    }

    /// The port that stays.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads new connections to another port.
    pub fn lead_to(&self, port: u16) {
        self.state.target.send_replace(port);
    }

    /// Drops the bytes of the connections that exist, and keeps them open.
    pub fn silence_connections(&self) {
        self.state.silent_below.send_replace(*self.state.count.borrow());
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(client: TcpStream, number: u64, state: Arc<State>) {
    let target = *state.target.borrow();
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::join!(pass(from_client, to_server, number, &state), pass(from_server, to_client, number, &state));
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, number: u64, state: &State) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if *state.silent_below.borrow() <= number && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    if *state.silent_below.borrow() > number {
        // A connection that is silent does not tell that the other side ended.
        std::future::pending::<()>().await;
    }
}
