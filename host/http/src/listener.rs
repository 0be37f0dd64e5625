//! A listening socket and its connections, with limits on both and a graceful
//! shutdown.

use crate::{client_link::Peer, serving::Serving, tls::Tls};
use axum::{extract::Request, response::Response};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
};
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};

/// A socket that accepts connections.
#[derive(Debug)]
pub enum Listener {
    /// It has an address.
    Tcp(TcpListener),
    /// It has a path. Its clients are programs of this machine, such as a proxy, and count
    /// as 127.0.0.1.
    Unix(UnixListener),
}

/// The socket of a connection.
pub(super) type Stream = Either<TcpStream, UnixStream>;

impl Listener {
    async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, peer)| (Either::Left(stream), peer)),
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Either::Right(stream), (Ipv4Addr::LOCALHOST, 0).into()))
            }
        }
    }
}

/// The limits of a listener and its connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// The most open connections. Further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// The most bytes of the request line and all headers together.
    pub header_bytes: usize,
    /// The longest time in which a client sends them, from their first byte on, or from
    /// the beginning of the connection.
    pub header_read_timeout: Duration,
    /// The longest time between two requests of a connection.
    pub keep_alive: Duration,
    /// The longest time in which a client takes no bytes of an answer.
    pub write_timeout: Duration,
    /// The longest time for requests in flight after the shutdown has begun.
    pub drain: Duration,
}

/// Serves until the token is cancelled, and then waits for the requests in
/// flight. True if all of them finished.
pub async fn serve<F, R>(
    listener: Listener,
    tls: Option<Arc<Tls>>,
    limits: ConnectionLimits,
    stop: CancellationToken,
    answer: F,
) -> bool
where
    F: Fn(Peer, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    let (connections, tasks) = (Arc::new(Semaphore::new(limits.max_connections)), TaskTracker::new());
    let drain = limits.drain;
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let serving = Serving { tls, limits, places, stop: stop.clone(), answer };
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            Ok(permit) = connections.clone().acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = serving.clone().run(stream, peer);
                tasks.spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%peer, %error, "a connection ended early");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                // Most likely the process has no file descriptor left. Other
                // connections will close.
                tracing::warn!(%error, "the listener could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    tokio::time::timeout(drain, tasks.wait()).await.is_ok()
}
