//! The host for the test of a plugin: it has no listener, and its clock moves by the
//! script of the test.
//!
//! Requests take the way of a visitor from the front on. Events and timers take their usual
//! way. The bus, the database and the clock belong to this host alone, and the folder with
//! its data belongs to the caller.

mod quiet;

use super::{
    Running,
    without_serving::{Unserved, activate, stage_with_all_rights},
};
use anyhow::{Context, bail, ensure};
use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderValue, Request, Response, header},
};
use futures::FutureExt;
use host_base::{
    Event,
    clock::{ClockScript, now_ms},
    id,
};
use host_bus::{Bus, DeadLetterKind, DeadLetterPage, DeadLetterSummary, EmbeddedBus};
use host_capabilities::identity::{Identity, Principal};
use host_cli::offline::{Cell, ForeignEvent, Happened, Opening, Rehearsal, Visitor};
use host_config::{
    Config,
    messaging::MessagingConfig,
    payments::{FaultsConfig, PaymentsConfig, ProviderConfig},
    rollout::RolloutConfig,
};
use host_database::HostDatabase;
use host_engine::Engine;
use host_http::client_link::Peer;
use host_plugin::{Revision, Rollout, failure_log::KeptFailure};
use host_store::{Databases, Value, describe};
use host_telemetry::{LogTail, TailItem};
use host_triggers::{
    Triggers,
    http::{Front, LiveAnswers},
};
use quiet::{Activity, MAX_BACKOFF};
use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The address of the visitor.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
/// The largest answer that a test reads.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// The most moments at which one `advance` stops.
const MAX_STOPS: u32 = 10_000;
/// The most dead letters of one step.
const MAX_LETTERS: u32 = 100;
const FIRST_BACKOFF: Duration = Duration::from_millis(1);

/// A host with one plugin, from its start until [`Rehearsal::end`].
pub struct RehearsalHost {
    front: Front,
    identity: Arc<Identity>,
    rollout: Arc<Rollout>,
    revision: Arc<Revision>,
    activity: Activity,
    bus: Arc<EmbeddedBus>,
    triggers: Arc<Triggers>,
    databases: Arc<dyn Databases>,
    database: HostDatabase,
    log: LogTail,
    patience: Duration,
    /// The work that waits, once it has waited for longer than the patience.
    waits: Option<String>,
    letters: HashSet<String>,
    last_failure: Option<KeptFailure>,
    stop: CancellationToken,
    /// The last field, because the parts of the host read the clock until their end.
    clock: ClockScript,
}

impl RehearsalHost {
    /// Starts the plugin with all rights that its manifest asks for.
    pub(super) async fn open(config: &Config, engine: Arc<Engine>, opening: Opening) -> anyhow::Result<Self> {
        let Opening { plugin, folder, start_ms, patience } = opening;
        let clock = ClockScript::begin(start_ms).context("another test moves the clock of this process")?;
        let Unserved { config, database, bus, services, running } =
            Unserved::open(&settings(config), &folder, engine).await?;
        let Running { rollout, triggers, databases, routes, alarms: _ } = running;
        let verdict = stage_with_all_rights(&rollout, plugin.to_vec(), None).await?;
        let log = LogTail::open(&verdict.plugin, u64::MAX);
        activate(&rollout, &verdict).await?;
        let registry = rollout.registry.clone();
        let active = registry.snapshot().plugins().next().map(|plugin| plugin.revision.clone());
        let revision = active.context("the plugin is not active")?;
        triggers.start();
        let stop = CancellationToken::new();
        let live = Arc::new(LiveAnswers::new(registry, &config.http, stop.clone()));
        let identity = services.identity;
        let front = Front { routes, live, identity: identity.clone(), config: config.http, rate_limits: None };
        let activity = Activity::new(bus.clone(), &revision);
        let host = Self {
            front,
            identity,
            rollout,
            revision,
            activity,
            bus,
            triggers,
            databases,
            database,
            log,
            patience,
            waits: None,
            letters: HashSet::new(),
            last_failure: None,
            stop,
            clock,
        };
        timeout(patience, host.activity.schedules_are_set()).await.context("the schedules are not set")??;
        Ok(host)
    }

    /// Waits until all events and due timers are done. Returns the time until something is
    /// due next.
    async fn quiet(&mut self) -> anyhow::Result<Option<Duration>> {
        match timeout(self.patience, self.activity.quiet(&self.clock)).await {
            Ok(next) => next,
            Err(_) => {
                let work = self.activity.describe();
                let waits = format!("the plugin still has work after {:?}: {work}", self.patience);
                self.waits = Some(waits.clone());
                bail!(waits)
            }
        }
    }

    /// The dead letters since the last call.
    async fn new_letters(&mut self) -> anyhow::Result<Vec<(String, String)>> {
        let mut letters = self.bus.dead_letters(&DeadLetterPage::newest(MAX_LETTERS)).await?;
        letters.retain(|letter| self.letters.insert(letter.id.clone()));
        letters.reverse();
        let named = |letter: DeadLetterSummary| match letter.kind {
            DeadLetterKind::Event => (format!("event {}", letter.subject), letter.reason),
            DeadLetterKind::Timer => (format!("timer {}", letter.subject_id), letter.reason),
        };
        Ok(letters.into_iter().map(named).collect())
    }

    /// The failures since the last call, the newest first.
    fn new_failures(&mut self) -> Vec<(String, String)> {
        let newest = self.revision.figures().failures.newest_first();
        let known = std::mem::replace(&mut self.last_failure, newest.first().cloned());
        let new = newest.into_iter().take_while(|failure| Some(failure) != known.as_ref());
        new.map(|failure| (failure.call, failure.message)).collect()
    }

    /// The log lines since the last call.
    fn new_lines(&mut self) -> Vec<Arc<str>> {
        let next = std::iter::from_fn(|| self.log.next().now_or_never().flatten());
        next.filter_map(|item| match item {
            TailItem::Line(line) => Some(line),
            TailItem::Lost(_) => None,
        })
        .collect()
    }
}

impl Rehearsal for RehearsalHost {
    async fn request(
        &mut self,
        mut request: Request<Bytes>,
        visitor: Option<&Visitor>,
    ) -> anyhow::Result<Response<Bytes>> {
        let headers = request.headers_mut();
        if let Some(Visitor { id, email }) = visitor {
            let principal = Principal { id: id.clone(), email: email.clone() };
            let cookie = self.identity.issue(&principal, false).map_err(|error| anyhow::anyhow!("{error}"))?;
            let pair = cookie.split(';').next().unwrap_or_default();
            headers.append(header::COOKIE, HeaderValue::from_str(pair)?);
        }
        headers.entry(header::HOST).or_insert(HeaderValue::from_static("localhost"));
        let (parts, body) =
            self.front.serve(Peer { address: PEER, link: None }, request.map(Body::from)).await.into_parts();
        let body = timeout(self.patience, to_bytes(body, MAX_ANSWER_BYTES));
        let body = body.await.context("the answer does not end")?.context("the answer broke off")?;
        Ok(Response::from_parts(parts, body))
    }

    async fn publish(&mut self, event: ForeignEvent) -> anyhow::Result<()> {
        let ForeignEvent { subject, source, payload } = event;
        let subscribes = &self.revision.manifest.messaging.subscribes;
        ensure!(subscribes.contains(&subject), "the plugin does not subscribe to {subject}, see messaging.subscribes");
        let id = id::new().to_string();
        let event = Event { id, subject, source, time_ms: now_ms(), traceparent: None, payload };
        self.activity.ignore(&event.id);
        Ok(self.bus.publish(&[event]).await?)
    }

    async fn advance(&mut self, mut time: Duration) -> anyhow::Result<()> {
        for _ in 0..MAX_STOPS {
            let next = self.quiet().await?;
            if time.is_zero() {
                return Ok(());
            }
            let step = next.map_or(time, |next| next.min(time));
            self.clock.advance(step);
            time = time.saturating_sub(step);
        }
        bail!("the clock stops {MAX_STOPS} times at most: advance by less")
    }

    async fn query(&mut self, statement: &str) -> anyhow::Result<Vec<Vec<Cell>>> {
        let database = self.revision.database.as_ref().context("the plugin has no database")?;
        let found = database.query(statement, Vec::new()).await;
        let rows = found.map_err(|error| anyhow::anyhow!(describe(&error)))?.rows;
        Ok(rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect())
    }

    async fn settle(&mut self) -> anyhow::Result<Happened> {
        if self.waits.is_none()
            && let Err(error) = self.quiet().await
            && self.waits.is_none()
        {
            return Err(error);
        }
        Ok(Happened {
            waits: self.waits.clone(),
            published: self.activity.take_published(),
            refused: self.new_letters().await?,
            failures: self.new_failures(),
            log: self.new_lines(),
        })
    }

    async fn end(self) {
        self.stop.cancel();
        self.triggers.stop().await;
        // The plugin can call itself through its routes. They hold each other until it is removed.
        if let Err(error) = self.rollout.remove(self.revision.name()).await {
            tracing::debug!(%error, "the plugin of an ended test stays in memory");
        }
        self.databases.close().await;
        self.database.close().await;
    }
}

/// The settings of a host that a test needs to be fast, and the same each time: attempts follow
/// each other closely, nothing is quarantined, and no money moves.
fn settings(config: &Config) -> Config {
    let messaging =
        MessagingConfig { backoff: FIRST_BACKOFF, max_backoff: MAX_BACKOFF, nats: None, ..config.messaging.clone() };
    let rollout = RolloutConfig { quarantine_traps: 0, ..config.rollout.clone() };
    let provider = match &config.payments.provider {
        ProviderConfig::Simulated(faults) => *faults,
        ProviderConfig::Stripe(_) => FaultsConfig::default(),
    };
    let payments = PaymentsConfig { provider: ProviderConfig::Simulated(provider), ..config.payments.clone() };
    Config { messaging, rollout, payments, ..config.clone() }
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Integer(number) => Cell::Integer(number),
        Value::Real(number) => Cell::Real(number),
        Value::Text(text) => Cell::Text(text),
        Value::Blob(bytes) => Cell::Blob(bytes),
    }
}
