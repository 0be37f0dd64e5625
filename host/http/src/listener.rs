//! A listening socket and its connections, with limits on both and a graceful
//! shutdown.

use crate::connection::{Connection, Socket};
use axum::{extract::Request, response::Response};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{HttpService, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

/// The limits of a listener and its connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// The most open connections. Further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// The most bytes of the request line and all headers together.
    pub header_bytes: usize,
    /// The longest time in which a client sends them. It also limits an idle
    /// connection.
    pub header_read_timeout: Duration,
    /// The longest time in which a client takes no bytes of an answer.
    pub write_timeout: Duration,
    /// The longest time for requests in flight after the shutdown has begun.
    pub drain: Duration,
}

/// Serves until the token is cancelled, and then waits for the requests in
/// flight. True if all of them finished.
pub async fn serve<F, R>(listener: TcpListener, limits: ConnectionLimits, stop: CancellationToken, answer: F) -> bool
where
    F: Fn(SocketAddr, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(limits.max_connections));
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
                let connection = graceful.watch(connection(stream, peer, &limits, answer.clone()));
                tokio::spawn(async move {
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
    tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_ok()
}

fn connection<F, R>(
    stream: TcpStream,
    peer: SocketAddr,
    limits: &ConnectionLimits,
    answer: F,
) -> http1::Connection<
    TokioIo<Socket>,
    impl HttpService<Incoming, ResBody = axum::body::Body, Error = Infallible, Future: Send> + Send + use<F, R>,
>
where
    F: Fn(SocketAddr, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "the listener could not set TCP_NODELAY");
    }
    let connection = Arc::new(Connection::default());
    let socket = Socket::new(stream, connection.clone(), limits.write_timeout);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let (connection, answer) = (connection.clone(), answer.clone());
        async move {
            connection.ready().await;
            request.extensions_mut().insert(connection);
            Ok::<_, Infallible>(answer(peer, request.map(axum::body::Body::new)).await)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .max_buf_size(limits.header_bytes)
        .serve_connection(TokioIo::new(socket), service)
}
