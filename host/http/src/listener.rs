//! A listening socket and the connections on it, with limits on both and an
//! orderly end.

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

/// What bounds a connection.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Open connections; one more waits in the kernel's queue.
    pub max_connections: usize,
    /// The request line and all headers together.
    pub header_bytes: usize,
    /// How long a client may take to send them, also on an idle connection.
    pub header_read_timeout: Duration,
    /// How long requests under way may go on after the end was asked for.
    pub drain: Duration,
}

/// Serves until the token is cancelled, then lets requests under way finish.
/// True if all of them did.
pub async fn serve<F, R>(listener: TcpListener, bounds: Bounds, stop: CancellationToken, answer: F) -> bool
where
    F: Fn(SocketAddr, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(bounds.max_connections));
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => break,
            Ok(place) = connections.clone().acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = graceful.watch(connection(stream, peer, &bounds, answer.clone()));
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%peer, %error, "a connection ended early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: others will be closed.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    tokio::time::timeout(bounds.drain, graceful.shutdown()).await.is_ok()
}

fn connection<F, R>(
    stream: TcpStream,
    peer: SocketAddr,
    bounds: &Bounds,
    answer: F,
) -> http1::Connection<
    TokioIo<TcpStream>,
    impl HttpService<Incoming, ResBody = axum::body::Body, Error = Infallible, Future: Send> + Send + use<F, R>,
>
where
    F: Fn(SocketAddr, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let response = answer(peer, request.map(axum::body::Body::new));
        async move { Ok::<_, Infallible>(response.await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_read_timeout)
        .max_buf_size(bounds.header_bytes)
        .serve_connection(TokioIo::new(stream), service)
}
