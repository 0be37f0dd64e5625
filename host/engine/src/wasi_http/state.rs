//! The data of a `wasi:http` guest's store, and its links.

use super::output::Output;
use crate::{
    CallContext, ComponentContext,
    state::MemoryLimit,
    time::HostTime,
    turns::{GuestTurn, PluginTurns},
};
use host_capabilities::{
    logging::{self, LoggingView},
    outbound::OutboundClient,
};
use std::sync::Arc;
use wasmtime::{
    StoreContextMut, UpdateDeadline,
    component::{Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfig;
use wasmtime_wasi_http::{RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// The largest number of an instance's handles to resources of the host.
const MAX_HANDLES: usize = 10_000;
/// The largest number of random bytes of one call.
const MAX_RANDOM_BYTES: u64 = 1 << 20;

/// The data of a `wasi:http` guest's store.
pub(super) struct State {
    pub(super) memory: MemoryLimit,
    turn: GuestTurn,
    component: Arc<ComponentContext>,
    output: Output,
    call: CallContext,
    log_lines: u32,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
}

impl State {
    pub(super) fn new(component: Arc<ComponentContext>, turns: Arc<PluginTurns>) -> Self {
        let output = Output::new(&component.name);
        // The builder gives no files, no environment and no arguments by
        // default. Here it gives no network either.
        let wasi = WasiCtx::builder()
            .wall_clock(HostTime)
            .stdout(output.stream("stdout"))
            .stderr(output.stream("stderr"))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(MAX_RANDOM_BYTES)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let hooks = Hooks { client: component.outbound.clone(), traceparent: None };
        Self {
            memory: MemoryLimit::new(&component),
            turn: GuestTurn::new(turns),
            component,
            output,
            call: CallContext::default(),
            log_lines: 0,
            table,
            wasi,
            http: WasiHttpCtx::new(),
            hooks,
        }
    }

    /// Begins another call.
    pub(super) fn begin_call(&mut self, call: CallContext) {
        self.output.begin_call(&call.id);
        self.hooks.traceparent.clone_from(&call.traceparent);
        self.call = call;
        self.log_lines = 0;
        self.turn.begin_call();
    }

    /// The turn that the guest returns when it does not compute.
    pub(super) fn turn(&self) -> GuestTurn {
        self.turn.clone()
    }

    fn logging(&mut self) -> LoggingView<'_> {
        LoggingView { component: &self.component.name, call_id: &self.call.id, lines: &mut self.log_lines }
    }

    fn config(&mut self) -> WasiConfig<'_> {
        WasiConfig::new(&self.component.config)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

/// Outgoing requests pass the host's own rules.
struct Hooks {
    client: OutboundClient,
    /// The trace that the call belongs to.
    traceparent: Option<String>,
}

/// The response of another host, and the work that goes on beside it.
type Sending = Box<
    dyn Future<
            Output = wasmtime_wasi_http::Result<(
                http::Response<WasiBody>,
                Box<dyn Future<Output = wasmtime_wasi_http::Result<()>> + Send>,
            )>,
        > + Send,
>;

/// The bytes of an answer that wait in the host for the client, for each call.
const CHUNK_BYTES: usize = 64 << 10;

impl WasiHttpHooks for Hooks {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = wasmtime_wasi_http::Result<()>> + Send>,
    ) -> Sending {
        let (client, traceparent) = (self.client.clone(), self.traceparent.clone());
        Box::new(async move {
            let response = client.send(request, options.unwrap_or_default(), traceparent.as_deref()).await?;
            let beside: Box<dyn Future<Output = _> + Send> = Box::new(std::future::ready(Ok(())));
            Ok((response, beside))
        })
    }
}

/// Links both versions of WASI and of its HTTP.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    wasmtime_wasi_config::add_to_linker(linker, State::config)?;
    logging::add_to_linker(linker, State::logging)
}

/// Runs at every tick while a guest computes. It lets other guests run, and
/// makes a guest that computes for long wait for its turn.
pub(super) fn on_tick(mut store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    let state = store.data_mut();
    if state.turn.tick() {
        return Ok(UpdateDeadline::Yield(1));
    }
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(state.turn.next())))
}
