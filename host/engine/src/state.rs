//! The data of a guest's store: the caller, the visitor, and the use of the
//! limits. A [`State`] lives as long as its instance. Each call replaces the
//! [`CallContext`].

use super::{
    CallTurns,
    memory::MemoryLimit,
    turns::{GuestTurn, PluginTurns},
    wasi::Wasi,
};
use host_artifact::ComponentKind;
use host_base::{ByteBudget, byte_budget::HeldBytes};
use host_bus::Bus;
use host_capabilities::{
    identity::{self, Identity, IdentityView, IssuedCookies, Session},
    logging::{self, LoggingView},
    outbound::{Outbound, OutboundClient},
    payments::{self, Payments, PaymentsView},
    plugin_calls::Origin,
    requests::{self, RequestsView, TurnsAside},
};
use host_config::{limits::Limits, plugins::Grant};
use host_store::{CallWaits, ComponentSql, HeldMemory, HeldTurns, RequestClaim, StoreView};
use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};
use tokio::time::Instant;
use wasmtime::{
    StoreContextMut, UpdateDeadline,
    component::{Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

/// The largest number of an instance's handles to resources of the host.
const MAX_HANDLES: usize = 10_000;

/// The services that the host offers to every component.
#[derive(Clone)]
pub struct Services {
    /// Passwords and sessions.
    pub identity: Arc<Identity>,
    /// Payments by card.
    pub payments: Arc<Payments>,
    /// Requests to other hosts.
    pub outbound: Arc<Outbound>,
    /// The event bus.
    pub bus: Arc<dyn Bus>,
}

/// One revision of a component, as its instances see it.
pub struct ComponentContext {
    /// The plugin's name.
    pub name: String,
    /// Its own database. None if it does not use one.
    pub database: Option<Arc<dyn ComponentSql>>,
    /// The subjects that it may publish.
    pub publishes: Vec<String>,
    /// Its limits.
    pub limits: Limits,
    /// Its settings.
    pub config: WasiConfigVariables,
    /// Sends its requests to the hosts that its policy allows.
    pub outbound: OutboundClient,
    /// The time that its transactions waited before they began.
    pub store_wait: metrics::Histogram,
    /// Bounds the bytes of its answers that clients have not taken yet.
    pub unsent: Arc<ByteBudget>,
    /// Bounds the memories of all its instances.
    pub memory: Arc<ByteBudget>,
    /// The services that all components share.
    pub services: Services,
}

/// The context of one invocation.
#[derive(Clone, Default)]
pub struct CallContext {
    /// The request's id, or the event's.
    pub id: Arc<str>,
    /// The W3C trace context that outgoing events and timers carry on.
    pub traceparent: Option<Arc<str>>,
    /// The address of the client.
    pub client_address: Option<IpAddr>,
    /// The session of the visitor.
    pub session: Option<Arc<Session>>,
    /// Whether the caller used TLS.
    pub secure: bool,
    /// The session cookies that the host issues during a request. None if
    /// nobody asks for them.
    pub issued: Option<Arc<IssuedCookies>>,
    /// The turns that it gives back while it waits.
    pub turns: Option<Arc<CallTurns>>,
    /// Whether it answers a request. Only such a call waits for a signal.
    pub is_request: bool,
    /// The time at which the host ends it. The engine sets it, and makes it no later
    /// than the time of the plugin that asks.
    pub deadline: Option<Instant>,
    /// The number of calls of plugins that led to it.
    pub depth: u8,
    /// The claim of each transaction of a request with an `Idempotency-Key`.
    pub claim: Option<Arc<RequestClaim>>,
}

impl CallContext {
    /// The context with its deadline, which is at most this time away.
    pub(super) fn that_ends_within(self, time: Duration) -> Self {
        let own = Instant::now() + time;
        Self { deadline: Some(self.deadline.map_or(own, |deadline| deadline.min(own))), ..self }
    }

    /// The invocation as the sender of requests. Without a call there is no time for
    /// one.
    pub(crate) fn origin(&self) -> Origin {
        Origin {
            traceparent: self.traceparent.clone(),
            client_address: self.client_address,
            session: self.session.clone(),
            secure: self.secure,
            depth: self.depth,
            deadline: self.deadline.unwrap_or_else(Instant::now),
        }
    }

    /// The turns that it gives back while it waits for a signal.
    fn listening_turns(&self) -> Option<&CallTurns> {
        self.turns.as_deref().filter(|_| self.is_request)
    }
}

/// The data of a guest's store.
pub struct State {
    pub(super) table: ResourceTable,
    pub(super) memory: MemoryLimit,
    kind: ComponentKind,
    component: Arc<ComponentContext>,
    call: CallContext,
    usage: CallUsage,
    turn: GuestTurn,
    /// The memory of the last call of the store.
    sql_memory: Option<HeldMemory>,
    /// The memory of the last response of another host.
    response_memory: Option<HeldBytes>,
    wasi: Option<Box<Wasi>>,
}

/// The use of an invocation's limits.
#[derive(Default)]
struct CallUsage {
    host_calls: u32,
    log_lines: u32,
    waits: CallWaits,
}

impl State {
    pub(super) fn new(kind: ComponentKind, component: Arc<ComponentContext>, turns: Arc<PluginTurns>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Self {
            table,
            memory: MemoryLimit::new(&component),
            kind,
            component,
            call: CallContext::default(),
            usage: CallUsage::default(),
            turn: GuestTurn::new(turns),
            sql_memory: None,
            response_memory: None,
            wasi: None,
        }
    }

    /// Begins another invocation.
    pub(super) fn begin_call(&mut self, call: CallContext) {
        if let Some(wasi) = &mut self.wasi {
            wasi.begin_call(&call);
        }
        self.call = call;
        self.usage = CallUsage::default();
        self.turn.begin_call();
    }

    /// A counter of the open transactions of the call.
    pub(super) fn open_transactions(&self) -> Arc<()> {
        self.usage.waits.transaction()
    }

    /// The kind of its component.
    pub(super) fn kind(&self) -> ComponentKind {
        self.kind
    }

    /// The limits of its component.
    pub(super) fn limits(&self) -> &Limits {
        &self.component.limits
    }

    /// The turn of the guest, which tells whether the guest computes.
    pub(super) fn turn(&self) -> GuestTurn {
        self.turn.clone()
    }

    /// Whether the guest has left nothing of its call behind that another call could
    /// use: a transaction or a listener.
    pub(super) fn is_clean(&self) -> bool {
        self.usage.waits.is_over()
    }

    pub(super) fn end_call(&mut self) {
        self.turn.give_back();
        self.sql_memory = None;
        self.response_memory = None;
        if let Some(wasi) = &mut self.wasi {
            wasi.end_call();
        }
        self.call = CallContext::default();
    }

    /// Every call from the guest into the host passes here. A call over the
    /// limit ends the guest at its next tick, see [`on_tick`].
    fn enter(&mut self) -> &mut Self {
        self.usage.host_calls = self.usage.host_calls.saturating_add(1);
        self.turn.give_back();
        self
    }

    fn store(&mut self) -> StoreView<'_> {
        let state = self.enter();
        StoreView {
            table: &mut state.table,
            database: state.component.database.as_deref(),
            claim: state.call.claim.as_deref(),
            publishes: &state.component.publishes,
            component: &state.component.name,
            traceparent: state.call.traceparent.as_deref(),
            transaction_ms: state.component.limits.transaction_ms,
            event_bytes: state.component.limits.event_bytes.min(state.component.services.bus.max_event_bytes()),
            wait: &state.component.store_wait,
            held: &mut state.sql_memory,
            turns: state.call.listening_turns().map(|turns| -> &dyn HeldTurns { turns }),
            waits: &mut state.usage.waits,
        }
    }

    fn identity(&mut self) -> IdentityView<'_> {
        let state = self.enter();
        IdentityView {
            identity: &state.component.services.identity,
            client_address: state.call.client_address,
            session: state.call.session.as_deref(),
            secure: state.call.secure,
            issued: state.call.issued.as_deref(),
        }
    }

    fn payments(&mut self) -> PaymentsView<'_> {
        let state = self.enter();
        PaymentsView {
            payments: &state.component.services.payments,
            component: &state.component.name,
            traceparent: state.call.traceparent.as_deref(),
        }
    }

    fn requests(&mut self) -> RequestsView<'_> {
        let state = self.enter();
        RequestsView {
            client: &state.component.outbound,
            origin: state.call.origin(),
            in_transaction: state.usage.waits.has_transaction(),
            held: &mut state.response_memory,
            turns: state.call.turns.as_deref().map(|turns| -> &dyn TurnsAside { turns }),
        }
    }

    fn logging(&mut self) -> LoggingView<'_> {
        let state = self.enter();
        LoggingView { component: &state.component.name, call_id: &state.call.id, lines: &mut state.usage.log_lines }
    }

    fn config(&mut self) -> WasiConfig<'_> {
        WasiConfig::new(&self.enter().component.config)
    }

    /// Calls into WASI count like all others, except those of a component that
    /// streams its answers: it needs many, and it computes or waits in its own turn.
    fn wasi(&mut self) -> (&mut Wasi, &mut ResourceTable) {
        if self.kind == ComponentKind::Platform {
            self.enter();
        }
        let wasi = self.wasi.get_or_insert_with(|| Box::new(Wasi::new(&self.component, &self.call)));
        (wasi, &mut self.table)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (wasi, table) = self.wasi();
        wasi.view(table)
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let in_transaction = self.usage.waits.has_transaction();
        let (wasi, table) = self.wasi();
        wasi.http_view(table, in_transaction)
    }
}

/// Links every interface that the host offers to both kinds of components, without
/// those of `denied`. WASI, logging and settings are never denied.
pub(super) fn link(linker: &mut Linker<State>, denied: &BTreeSet<Grant>) -> wasmtime::Result<()> {
    let is_granted = |grant| !denied.contains(&grant);
    // The handlers of events and timers use types of the store. Without the grant, a component has no database.
    host_store::add_to_linker(linker, State::store)?;
    if is_granted(Grant::Identity) {
        identity::add_to_linker(linker, State::identity)?;
    }
    if is_granted(Grant::Payments) {
        payments::add_to_linker(linker, State::payments)?;
    }
    // Without the grant, no destination is allowed.
    requests::add_to_linker(linker, State::requests)?;
    logging::add_to_linker(linker, State::logging)?;
    wasmtime_wasi_config::add_to_linker(linker, State::config)?;
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    // Without the grant, no destination is allowed here either.
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

/// Runs at every tick while a guest computes. It lets other guests run, makes a
/// guest that computes for long wait for its turn, and ends a guest that floods
/// the host with calls.
pub(super) fn on_tick(mut store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    let state = store.data_mut();
    let limit = state.component.limits.host_calls;
    if state.usage.host_calls > limit {
        wasmtime::bail!("more than {limit} calls into the host in one invocation");
    }
    if state.turn.tick() {
        return Ok(UpdateDeadline::Yield(1));
    }
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(state.turn.next())))
}
