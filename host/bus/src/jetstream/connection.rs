//! The connection to the broker. The client connects again whenever the
//! connection breaks. The connection is available only while the streams exist
//! and belong to this installation.

use super::{
    super::BusError,
    connect_error,
    names::Names,
    problems::Problems,
    rights::Rights,
    streams::{self, EnsureError},
};
use async_nats::{Client, ConnectOptions, Event, connection::State, jetstream::Context};
use host_config::nats::NatsConfig;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// The timeout of each call to the broker.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// After two pings without an answer the client connects again.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);
/// The interval of checks while the client reports no change.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
const DEFAULT_INBOX_PREFIX: &str = "_INBOX";
const REJECTED_DELAY: Duration = Duration::from_secs(5);

/// The connection and its status.
pub(super) struct Connection {
    pub(super) names: Names,
    pub(super) settings: NatsConfig,
    /// The time for which the stream keeps events.
    pub(super) retention: Duration,
    /// The installation that owns the streams.
    pub(super) installation: String,
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) stop: CancellationToken,
    pub(super) problems: Problems,
    pub(super) rights: Arc<Rights>,
    /// Wakes the inspection of the broker.
    pub(super) inspect: Notify,
    status: watch::Sender<Status>,
    was_available: AtomicBool,
    changes: Arc<ClientChanges>,
}

/// Whether the bus can use the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    /// It cannot, for this reason. The host tries again.
    Unavailable(String),
    /// It cannot, for this reason, until an operator changes the settings.
    Rejected(String),
    /// It can.
    Available,
}

/// The changes of the connection that the client reports.
#[derive(Default)]
struct ClientChanges {
    changed: Notify,
    /// The number of times that the connection broke.
    disconnects: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Connection {
    /// Begins to connect, and keeps the connection until the bus stops.
    ///
    /// # Errors
    /// When a file of the settings cannot be read.
    pub(super) async fn open(
        settings: NatsConfig,
        retention: Duration,
        installation: String,
    ) -> Result<Arc<Self>, BusError> {
        let changes = Arc::new(ClientChanges::default());
        let rights = Arc::new(Rights::new(settings.inbox_prefix.as_deref().unwrap_or(DEFAULT_INBOX_PREFIX)));
        let servers = settings.servers().map_err(|error| BusError(error.to_string()))?;
        let (reported, reported_rights) = (changes.clone(), rights.clone());
        let options = options(&settings).await?.event_callback(move |event| {
            reported.record(&event, &reported_rights);
            std::future::ready(())
        });
        let client = options.connect(servers).await.map_err(|error| BusError(error.to_string()))?;
        let mut context = match &settings.jetstream_domain {
            Some(domain) => async_nats::jetstream::with_domain(client.clone(), domain),
            None => async_nats::jetstream::new(client.clone()),
        };
        context.set_timeout(CALL_TIMEOUT);
        let connection = Arc::new(Self {
            names: Names::new(&settings.subject_prefix),
            settings,
            retention,
            installation,
            client,
            context,
            stop: CancellationToken::new(),
            problems: Problems::default(),
            rights,
            inspect: Notify::new(),
            status: watch::Sender::new(Status::Unavailable("the host is connecting".to_owned())),
            was_available: AtomicBool::new(false),
            changes,
        });
        tokio::spawn(connection.clone().maintain());
        Ok(connection)
    }

    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(super) fn is_available(&self) -> bool {
        *self.status.borrow() == Status::Available
    }

    /// Whether the client has a connection, also while the bus is unavailable.
    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Whether the bus was available at any time since the start.
    pub(super) fn was_available(&self) -> bool {
        self.was_available.load(Ordering::Acquire)
    }

    /// Waits until the bus is available.
    pub(super) async fn wait_until_available(&self) {
        // The wait cannot fail, because the sender is a field of this value.
        let _ = self.status.subscribe().wait_for(|status| *status == Status::Available).await;
    }

    /// Waits until the bus is unavailable or rejected.
    pub(super) async fn wait_until_unavailable(&self) {
        let _ = self.status.subscribe().wait_for(|status| *status != Status::Available).await;
    }

    /// Waits for the end of the first attempt to connect, up to a limit.
    pub(super) async fn wait_for_first_attempt(&self, limit: Duration) -> Status {
        let mut status = self.status.subscribe();
        let decided = status.wait_for(|status| !matches!(status, Status::Unavailable(_)));
        let _ = timeout(limit, decided).await;
        self.status()
    }

    /// # Errors
    /// When the bus is not available, with the reason.
    pub(super) fn require_available(&self) -> Result<(), BusError> {
        match &*self.status.borrow() {
            Status::Available => Ok(()),
            Status::Unavailable(reason) | Status::Rejected(reason) => Err(BusError(reason.clone())),
        }
    }

    /// Checks the streams again, because an answer of the broker did not fit
    /// them.
    pub(super) fn recheck_streams(&self) {
        self.set_status(Status::Unavailable("the host checks the streams again".to_owned()));
        self.changes.changed.notify_one();
    }

    /// Updates the status until the bus stops.
    async fn maintain(self: Arc<Self>) {
        let stop = self.stop.clone();
        stop.run_until_cancelled(async {
            loop {
                self.wait_until_connected().await;
                let disconnects = self.disconnects();
                match streams::ensure(&self).await {
                    Ok(()) => match self.rights.blocking() {
                        None => self.serve(disconnects).await,
                        Some(reason) => {
                            self.set_status(Status::Unavailable(reason));
                            self.inspect.notify_one();
                            sleep(REJECTED_DELAY).await;
                        }
                    },
                    Err(EnsureError::Permanent(reason)) => {
                        self.set_status(Status::Rejected(reason));
                        sleep(REJECTED_DELAY).await;
                    }
                    Err(EnsureError::Temporary(reason)) => {
                        self.set_status(Status::Unavailable(self.rights.explain(&reason)));
                        sleep(CHECK_INTERVAL).await;
                    }
                }
            }
        })
        .await;
    }

    /// The bus is available until the connection breaks or the streams have to
    /// be checked again.
    async fn serve(&self, disconnects: u64) {
        self.set_status(Status::Available);
        self.inspect.notify_one();
        while self.is_available() && self.disconnects() == disconnects {
            if self.rights.blocking().is_some() {
                return;
            }
            self.wait_for_change().await;
        }
        if self.is_available() {
            // The broker has forgotten the requests of this connection, even if
            // the client is connected again.
            self.set_status(Status::Unavailable("the connection broke".to_owned()));
        }
    }

    fn disconnects(&self) -> u64 {
        self.changes.disconnects.load(Ordering::Acquire)
    }

    async fn wait_until_connected(&self) {
        while !self.is_connected() {
            let error = self.changes.last_error.lock().take();
            let servers = self.settings.servers_shown();
            if let Some(error) = error {
                let reason = connect_error::explain(&error, &self.settings).await;
                self.set_status(Status::Unavailable(format!("no connection to {servers}: {reason}")));
            }
            self.wait_for_change().await;
        }
    }

    async fn wait_for_change(&self) {
        let _ = timeout(CHECK_INTERVAL, self.changes.changed.notified()).await;
    }

    /// Sets the status and logs a change.
    fn set_status(&self, status: Status) {
        self.was_available.fetch_or(status == Status::Available, Ordering::AcqRel);
        self.status.send_if_modified(|known| {
            if *known == status {
                return false;
            }
            match &status {
                Status::Available => {
                    tracing::info!(servers = self.settings.servers_shown(), "the event bus is available")
                }
                Status::Unavailable(reason) => tracing::warn!(reason, "the event bus is unavailable: events wait"),
                Status::Rejected(reason) => tracing::error!(reason, "the host must not use the event bus: events wait"),
            }
            *known = status;
            true
        });
    }
}

impl ClientChanges {
    fn record(&self, event: &Event, rights: &Rights) {
        let error = match event {
            Event::Connected => None,
            Event::ServerError(error) => Some(error.to_string()).filter(|error| !rights.record(error)),
            Event::ClientError(error) => Some(error.to_string()),
            Event::SlowConsumer(_) | Event::LameDuckMode | Event::Draining => return,
            Event::Disconnected | Event::Closed => {
                self.disconnects.fetch_add(1, Ordering::AcqRel);
                rights.forget();
                None
            }
        };
        *self.last_error.lock() = error;
        self.changed.notify_one();
    }
}

async fn options(settings: &NatsConfig) -> Result<ConnectOptions, BusError> {
    let mut options = ConnectOptions::new()
        .name("ticketing")
        .retry_on_initial_connect()
        .connection_timeout(CALL_TIMEOUT)
        .request_timeout(Some(CALL_TIMEOUT))
        .ping_interval(PING_INTERVAL)
        .reconnect_delay_callback(reconnect_delay);
    let unreadable = |path: &std::path::Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| BusError(format!("{path}: {error}"))
    };
    if let Some(prefix) = &settings.inbox_prefix {
        options = options.custom_inbox_prefix(prefix);
    }
    options = match settings.credentials() {
        Some((user, Some(password))) => options.user_and_password(user, password),
        Some((token, None)) => options.token(token),
        None => options,
    };
    if let Some(path) = &settings.credentials_file {
        options = options.credentials_file(path).await.map_err(unreadable(path))?;
    }
    // The client reads these files at each attempt. A missing file is an error
    // at the start.
    if let Some(path) = &settings.tls_ca_file {
        tokio::fs::metadata(path).await.map_err(unreadable(path))?;
        options = options.add_root_certificates(path.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &settings.tls_identity {
        for path in [certificate, key] {
            tokio::fs::metadata(path).await.map_err(unreadable(path))?;
        }
        options = options.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
    }
    Ok(options)
}

/// The delay before an attempt to connect. The first attempt has none, and each
/// later one has a longer one.
fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    match doublings {
        0 => Duration::ZERO,
        _ => Duration::from_millis(2_u64.saturating_pow(doublings)).min(MAX_RECONNECT_DELAY),
    }
}
