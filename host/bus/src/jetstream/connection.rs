//! The connection to the broker: made again whenever it breaks, and usable
//! only while the streams are there and are this installation's.

use super::{
    super::BusError,
    names::Names,
    refusal,
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

/// For whatever is asked of the broker, and what is told to it.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Two of these without an answer, and the connection is made anew.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The state is looked at this often even if nothing was heard of a change.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const AFTER_A_REFUSAL: Duration = Duration::from_secs(5);

/// The connection, and what is known of it.
pub(super) struct Link {
    pub(super) names: Names,
    pub(super) settings: NatsConfig,
    /// How long events are kept.
    pub(super) retention: Duration,
    /// Whose streams they are.
    pub(super) installation: String,
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) stop: CancellationToken,
    status: watch::Sender<Status>,
    was_usable: AtomicBool,
    seen: Arc<Seen>,
}

/// What can be done at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    /// Nothing; why.
    Away(String),
    /// Nothing, until somebody changes the settings; why.
    Refused(String),
    /// Everything.
    Usable,
}

/// What the client tells of itself.
#[derive(Default)]
struct Seen {
    changed: Notify,
    /// How often the connection broke.
    breaks: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl Link {
    /// Begins to connect, and goes on with it until it is stopped.
    ///
    /// # Errors
    /// When a file of the settings cannot be read.
    pub(super) async fn open(
        settings: NatsConfig,
        retention: Duration,
        installation: String,
    ) -> Result<Arc<Self>, BusError> {
        let seen = Arc::new(Seen::default());
        let servers = settings.servers().map_err(|error| BusError(error.to_string()))?;
        let heard = seen.clone();
        let options = options(&settings).await?.event_callback(move |event| {
            heard.note(&event);
            std::future::ready(())
        });
        let client = options.connect(servers).await.map_err(|error| BusError(error.to_string()))?;
        let mut context = async_nats::jetstream::new(client.clone());
        context.set_timeout(CALL_TIMEOUT);
        let link = Arc::new(Self {
            names: Names::new(&settings.subject_prefix),
            settings,
            retention,
            installation,
            client,
            context,
            stop: CancellationToken::new(),
            status: watch::Sender::new(Status::Away("it is being connected".to_owned())),
            was_usable: AtomicBool::new(false),
            seen,
        });
        tokio::spawn(link.clone().keep());
        Ok(link)
    }

    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(super) fn is_usable(&self) -> bool {
        *self.status.borrow() == Status::Usable
    }

    /// Whether everything could be done at any time since the start.
    pub(super) fn was_usable(&self) -> bool {
        self.was_usable.load(Ordering::Acquire)
    }

    /// Waits until everything can be done.
    pub(super) async fn usable(&self) {
        // The sender is part of this value, so there is always an answer.
        let _ = self.status.subscribe().wait_for(|status| *status == Status::Usable).await;
    }

    /// Waits until nothing can be done.
    pub(super) async fn unusable(&self) {
        let _ = self.status.subscribe().wait_for(|status| *status != Status::Usable).await;
    }

    /// Waits for the end of the first attempt, for as long as this.
    pub(super) async fn first_attempt(&self, limit: Duration) -> Status {
        let mut status = self.status.subscribe();
        let decided = status.wait_for(|status| !matches!(status, Status::Away(_)));
        let _ = timeout(limit, decided).await;
        self.status()
    }

    /// An error unless everything can be done.
    pub(super) fn require(&self) -> Result<(), BusError> {
        match &*self.status.borrow() {
            Status::Usable => Ok(()),
            Status::Away(reason) | Status::Refused(reason) => Err(BusError(reason.clone())),
        }
    }

    /// Looks again at the streams: something in the broker was not as it
    /// should be.
    pub(super) fn doubt(&self) {
        self.set(Status::Away("its streams are looked at again".to_owned()));
        self.seen.changed.notify_one();
    }

    /// Keeps the status true until the end.
    async fn keep(self: Arc<Self>) {
        let stop = self.stop.clone();
        stop.run_until_cancelled(async {
            loop {
                self.connected().await;
                let breaks = self.seen.breaks.load(Ordering::Acquire);
                match streams::ensure(&self).await {
                    Ok(()) => {
                        self.set(Status::Usable);
                        while self.is_usable() && self.seen.breaks.load(Ordering::Acquire) == breaks {
                            self.look_again().await;
                        }
                        if self.is_usable() {
                            // What the broker knew of this connection is gone,
                            // even if there is another one already.
                            self.set(Status::Away("the connection broke".to_owned()));
                        }
                    }
                    Err(EnsureError::Refused(reason)) => {
                        self.set(Status::Refused(reason));
                        sleep(AFTER_A_REFUSAL).await;
                    }
                    Err(EnsureError::Failed(reason)) => {
                        self.set(Status::Away(reason));
                        sleep(LOOK_EVERY).await;
                    }
                }
            }
        })
        .await;
    }

    async fn connected(&self) {
        while self.client.connection_state() != State::Connected {
            let trouble = self.seen.trouble.lock().take();
            let servers = self.settings.servers_shown();
            if let Some(trouble) = trouble {
                let reason = refusal::explained(&trouble, &self.settings).await;
                self.set(Status::Away(format!("no connection to {servers}: {reason}")));
            }
            self.look_again().await;
        }
    }

    async fn look_again(&self) {
        let _ = timeout(LOOK_EVERY, self.seen.changed.notified()).await;
    }

    /// Tells the log of what has changed.
    fn set(&self, status: Status) {
        self.was_usable.fetch_or(status == Status::Usable, Ordering::AcqRel);
        self.status.send_if_modified(|known| {
            if *known == status {
                return false;
            }
            match &status {
                Status::Usable => tracing::info!(servers = self.settings.servers_shown(), "the event bus is reached"),
                Status::Away(reason) => tracing::warn!(reason, "the event bus cannot be reached: events wait"),
                Status::Refused(reason) => tracing::error!(reason, "the event bus must not be used: events wait"),
            }
            *known = status;
            true
        });
    }
}

impl Seen {
    fn note(&self, event: &Event) {
        let trouble = match event {
            Event::Connected => None,
            Event::ServerError(error) => Some(error.to_string()),
            Event::ClientError(error) => Some(error.to_string()),
            Event::SlowConsumer(_) | Event::LameDuckMode | Event::Draining => return,
            Event::Disconnected | Event::Closed => {
                self.breaks.fetch_add(1, Ordering::AcqRel);
                None
            }
        };
        *self.trouble.lock() = trouble;
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
        .reconnect_delay_callback(pause);
    let unreadable = |path: &std::path::Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| BusError(format!("{path}: {error}"))
    };
    options = match settings.credentials() {
        Some((user, Some(password))) => options.user_and_password(user, password),
        Some((token, None)) => options.token(token),
        None => options,
    };
    if let Some(path) = &settings.credentials_file {
        options = options.credentials_file(path).await.map_err(unreadable(path))?;
    }
    // The client reads these at each attempt; a file that is not there is
    // told at the start.
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

/// Before an attempt to connect: none before the first, then more and more.
fn pause(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    match doublings {
        0 => Duration::ZERO,
        _ => Duration::from_millis(2_u64.saturating_pow(doublings)).min(LONGEST_PAUSE),
    }
}
