//! WASI for a component. Its interfaces are all present, and they reach nothing:
//! there are no files, no sockets, no environment and no arguments. The clocks and
//! the random numbers are true, the output goes to the log, and requests to other
//! hosts go where the policy allows.

mod clock;
mod output;

use crate::{CallContext, ComponentContext};
use clock::HostTime;
use host_capabilities::{
    outbound::OutboundClient,
    requests::{self, TurnsAside},
};
use output::Output;
use std::sync::Arc;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks};

/// The largest number of random bytes of one call.
const MAX_RANDOM_BYTES: u64 = 64 << 10;
/// The bytes of an answer that wait in the host for the client, for each call.
const CHUNK_BYTES: usize = 64 << 10;

/// The data of WASI for one instance. The host makes it when the instance calls WASI
/// for the first time.
pub(crate) struct Wasi {
    ctx: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    output: Output,
}

impl Wasi {
    pub(crate) fn new(component: &ComponentContext, call: &CallContext) -> Self {
        let output = Output::new(&component.name);
        let ctx = WasiCtx::builder()
            .wall_clock(HostTime)
            .stdout(output.stream("stdout"))
            .stderr(output.stream("stderr"))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(MAX_RANDOM_BYTES)
            .build();
        let hooks = Hooks { client: component.outbound.clone(), call: call.clone(), in_transaction: false };
        output.begin_call(&call.id);
        Self { ctx, http: WasiHttpCtx::new(), hooks, output }
    }

    /// The next lines and requests belong to this call.
    pub(crate) fn begin_call(&mut self, call: &CallContext) {
        self.output.begin_call(&call.id);
        self.hooks.call = call.clone();
    }

    /// Gives back the turns of the call.
    pub(crate) fn end_call(&mut self) {
        self.hooks.call = CallContext::default();
    }

    pub(crate) fn view<'a>(&'a mut self, table: &'a mut ResourceTable) -> WasiCtxView<'a> {
        WasiCtxView { ctx: &mut self.ctx, table }
    }

    pub(crate) fn http_view<'a>(
        &'a mut self,
        table: &'a mut ResourceTable,
        in_transaction: bool,
    ) -> WasiHttpCtxView<'a> {
        self.hooks.in_transaction = in_transaction;
        WasiHttpCtxView { ctx: &mut self.http, table, hooks: &mut self.hooks }
    }
}

/// Outgoing requests of `wasi:http` pass the host's own rules.
struct Hooks {
    client: OutboundClient,
    call: CallContext,
    /// Whether the call has a transaction open.
    in_transaction: bool,
}

/// The response of another host or plugin, and the work that goes on beside it.
type Sending = Box<
    dyn Future<
            Output = wasmtime_wasi_http::Result<(
                http::Response<WasiBody>,
                Box<dyn Future<Output = wasmtime_wasi_http::Result<()>> + Send>,
            )>,
        > + Send,
>;

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
        if self.in_transaction {
            let problem = "a transaction is open; end it before a request".to_owned();
            return Box::new(std::future::ready(Err(Error::InternalError(Some(problem)))));
        }
        let (client, origin) = (self.client.clone(), self.call.origin());
        let turns = self.call.turns.clone().map(|turns| -> Arc<dyn TurnsAside> { turns });
        Box::new(async move {
            let response = requests::wasi::send(client, origin, turns, request, options.unwrap_or_default()).await?;
            let beside: Box<dyn Future<Output = _> + Send> = Box::new(std::future::ready(Ok(())));
            Ok((response, beside))
        })
    }
}
