//! The two listeners: the public one and the operators'.

use anyhow::Context;
use axum::response::IntoResponse;
use host_config::Config;
use host_http::listener::{self, ConnectionLimits};
use host_operator::Operator;
use host_triggers::http::Front;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The largest number of connections of operators and their programs.
const OPERATOR_CONNECTIONS: usize = 256;

pub(super) async fn serve_front(
    config: &Config,
    front: Arc<Front>,
    stop: &CancellationToken,
) -> anyhow::Result<(SocketAddr, JoinHandle<bool>)> {
    let limits = limits(config, config.http.max_in_flight_requests.saturating_mul(8));
    listen(config.http.listen, limits, stop, move |peer, request| {
        let front = front.clone();
        async move { front.serve(peer, request).await }
    })
    .await
}

pub(super) async fn serve_operator(
    config: &Config,
    operator: Arc<Operator>,
    stop: &CancellationToken,
) -> anyhow::Result<(SocketAddr, JoinHandle<bool>)> {
    let router = host_operator::router(operator);
    listen(config.operator.listen, limits(config, OPERATOR_CONNECTIONS), stop, move |_, request| {
        let router = router.clone();
        async move { router.oneshot(request).await.into_response() }
    })
    .await
}

async fn listen<F, R>(
    address: SocketAddr,
    limits: ConnectionLimits,
    stop: &CancellationToken,
    answer: F,
) -> anyhow::Result<(SocketAddr, JoinHandle<bool>)>
where
    F: Fn(SocketAddr, axum::extract::Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = axum::response::Response> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let bound = listener.local_addr()?;
    Ok((bound, tokio::spawn(listener::serve(listener, limits, stop.clone(), answer))))
}

fn limits(config: &Config, max_connections: usize) -> ConnectionLimits {
    ConnectionLimits {
        max_connections,
        header_bytes: config.http.header_bytes,
        header_read_timeout: config.http.header_read_timeout,
        write_timeout: config.http.write_timeout,
        drain: config.http.shutdown_drain.max(Duration::from_millis(1)),
    }
}
