//! WASI for a component. Its interfaces are all present, and they reach nothing:
//! there are no files, no sockets, no environment and no arguments. The clocks and
//! the random numbers are true, the output goes to the log, and requests to other
//! hosts go where the policy allows.

mod clock;
mod output;

use crate::{CallContext, CallTurns, ComponentContext};
use clock::HostTime;
use host_capabilities::{
    outbound::OutboundClient,
    plugin_calls::Origin,
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
        let hooks = Hooks { client: component.outbound.clone(), sender: None, in_transaction: false };
        let mut wasi = Self { ctx, http: WasiHttpCtx::new(), hooks, output };
        wasi.begin_call(call);
        wasi
    }

    /// The next lines and requests belong to this call.
    pub(crate) fn begin_call(&mut self, call: &CallContext) {
        self.output.begin_call(&call.id);
        self.hooks.sender = Some(Sender { origin: call.origin(), turns: call.turns.clone() });
    }

    /// Gives back the turns of the call.
    pub(crate) fn end_call(&mut self) {
        self.hooks.sender = None;
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
    /// None between calls.
    sender: Option<Sender>,
    /// Whether the call has a transaction open.
    in_transaction: bool,
}

/// The call that sends a request.
#[derive(Clone)]
struct Sender {
    origin: Origin,
    turns: Option<Arc<CallTurns>>,
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
        let refused = |problem: &str| -> Sending {
            Box::new(std::future::ready(Err(Error::InternalError(Some(problem.to_owned())))))
        };
        if self.in_transaction {
            return refused("a transaction is open; end it before a request");
        }
        let Some(Sender { origin, turns }) = self.sender.clone() else {
            return refused("a request belongs to a call");
        };
        let turns = turns.map(|turns| -> Arc<dyn TurnsAside> { turns });
        let client = self.client.clone();
        Box::new(async move {
            let response = requests::wasi::send(client, origin, turns, request, options.unwrap_or_default()).await?;
            let beside: Box<dyn Future<Output = _> + Send> = Box::new(std::future::ready(Ok(())));
            Ok((response, beside))
        })
    }
}
