//! The two listeners: the public one and the operators'.
//!
//! Both addresses are taken before anything else happens. The operators'
//! listener answers from then on, so that a watcher sees that the host lives and
//! what it waits for. The public one accepts connections when the host can serve:
//! until then, a proxy tries another host.

use super::{
    progress::Progress,
    public_socket::{BACKLOG, PublicListener, PublicSocket, refused, socket},
    systemd_sockets::SystemdSockets,
};
use axum::{Router, response::IntoResponse};
use host_config::Config;
use host_http::{
    listener::{self, ConnectionLimits, Listener},
    tls::Tls,
};
use host_operator::Operator;
use host_triggers::http::Front;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The largest number of connections of operators and their programs.
const OPERATOR_CONNECTIONS: usize = 256;

/// The two addresses, which belong to this process.
pub struct Listeners {
    public: PublicSocket,
    tls: Option<Arc<Tls>>,
    operators: TcpListener,
}

/// The public listener before the host can serve.
pub(super) struct PublicDoor {
    socket: PublicSocket,
    tls: Option<Arc<Tls>>,
}

/// The listeners of a host that serves.
pub(super) struct Open {
    pub(super) address: String,
    pub(super) operator_address: SocketAddr,
    pub(super) tasks: Vec<JoinHandle<bool>>,
}

/// The operators' listener while the host starts, and afterwards.
pub(super) struct OperatorDoor {
    address: SocketAddr,
    task: JoinHandle<bool>,
    router: Arc<OnceLock<Router>>,
}

impl Listeners {
    /// Takes both addresses, and reads the certificate.
    ///
    /// # Errors
    /// Names the setting, the address or file, and the cure.
    pub fn bind(config: &Config, systemd: SystemdSockets) -> anyhow::Result<Self> {
        let tls = config.http.tls.as_ref().map(Tls::load).transpose()?.map(Arc::new);
        let (setting, flag, address) = ("operator.listen", "--admin-listen", config.operator.listen);
        let operators = socket(setting, flag, address)?.listen(BACKLOG);
        let operators = operators.or_else(|error| refused(setting, flag, address, &error))?;
        // The system finds a conflict of two addresses when one of them listens.
        let public = PublicSocket::take(&config.http, systemd)?;
        Ok(Self { public, tls, operators })
    }

    /// The certificate of the public listener, if it has one.
    pub fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }

    /// Begins to answer operators: the host lives, and is not ready.
    pub(super) fn admit_operators(
        self,
        config: &Config,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> io::Result<(PublicDoor, OperatorDoor)> {
        let router = Arc::new(OnceLock::new());
        let starting = host_operator::starting_router(progress.0.clone(), config.operator.hosts.clone().into());
        let address = self.operators.local_addr()?;
        let opened = router.clone();
        let limits = limits(config, OPERATOR_CONNECTIONS);
        let task = tokio::spawn(listener::serve(
            Listener::Tcp(self.operators),
            None,
            limits,
            stop.clone(),
            move |_, request| {
                let router = opened.get().unwrap_or(&starting).clone();
                async move { router.oneshot(request).await.into_response() }
            },
        ));
        Ok((PublicDoor { socket: self.public, tls: self.tls }, OperatorDoor { address, task, router }))
    }
}

/// Begins to serve visitors and operators.
///
/// # Errors
/// Another process has taken the public address since this one did.
pub(super) fn open(
    config: &Config,
    (public, door): (PublicDoor, OperatorDoor),
    front: Arc<Front>,
    operator: Arc<Operator>,
    stop: &CancellationToken,
) -> anyhow::Result<Open> {
    let PublicListener { listener, address, file } = public.socket.listen()?;
    // Held connections leave the others their places.
    let connections = config.http.max_in_flight_requests.saturating_mul(8).saturating_add(config.http.max_listeners);
    let limits = limits(config, connections);
    let (stop, closed) = (stop.clone(), CancellationToken::new());
    let serving = listener::serve(listener, public.tls, limits, closed.clone(), move |peer, request| {
        let front = front.clone();
        // hyper keeps the place of this future as long as the connection. In a box,
        // it is gone after the answer, and a held connection takes little memory.
        Box::pin(async move { front.serve(peer, request).await })
    });
    tokio::spawn(async move {
        stop.cancelled().await;
        // While the socket listens, no other process takes its path.
        drop(file);
        closed.cancel();
    });
    let names = operator.host_names.clone();
    let routes = host_console::with_console(host_operator::router(operator));
    door.router.get_or_init(|| host_operator::refuse_other_sites(routes, names));
    Ok(Open { address, operator_address: door.address, tasks: vec![tokio::spawn(serving), door.task] })
}

fn limits(config: &Config, max_connections: usize) -> ConnectionLimits {
    ConnectionLimits {
        max_connections,
        header_bytes: config.http.header_bytes,
        header_read_timeout: config.http.header_read_timeout,
        keep_alive: config.http.keep_alive,
        write_timeout: config.http.write_timeout,
        drain: config.http.shutdown_drain.max(Duration::from_millis(1)),
    }
}
