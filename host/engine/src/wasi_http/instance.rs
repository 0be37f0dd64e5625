//! Instances of one `wasi:http` revision. Each has one call at a time, and the
//! host uses it again if the call ended well.
//!
//! A call runs in the task of its caller until the head of its answer, and as a
//! task of its own if the guest still makes the body then (`work.rs`). It ends when the guest is done, when the guest has produced
//! nothing for `limits.wall_time_ms`, or when the caller has left. The host
//! decides this outside of the guest and drops the guest's work, whatever the
//! guest is doing.

use super::{
    StreamObserver, WasiHttpEngine,
    answer::{AnswerBody, request_body},
    progress::{Overdue, Progress},
    work::{Unwinding, Waiting, Work},
};
use crate::{
    CallContext, ComponentContext, Failure, State, answer_head,
    instance::HOST_CALL_BYTES,
    state::on_tick,
    turns::{GuestTurn, Turns},
    warm::{WarmPool, WarmSet},
};
use axum::body::Body;
use futures::channel::oneshot;
use host_artifact::ComponentKind;
use host_base::thread_stack;
use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::unconstrained,
};
use tokio_util::sync::CancellationToken;
use wasmtime::{AsContextMut, Store, component::InstancePre};
use wasmtime_wasi_http::{
    WasiBody, WasiHttpView,
    handler::{Prepared, Proxy, ProxyPre},
    p2, p3,
};

/// Calls of an instance of 0.2 unless its manifest says otherwise. Many such
/// components, above all those in JavaScript, expect one request only.
const DEFAULT_MAX_REQUESTS_P2: u32 = 1;
/// Calls of an instance of 0.3 unless its manifest says otherwise.
const DEFAULT_MAX_REQUESTS_P3: u32 = 1_000;
/// The largest memory growth of an instance that is used again.
const REUSE_GROWTH_BYTES: usize = 32 << 20;

/// A `wasi:http` component that is linked and ready to be instantiated.
pub struct WasiHttpProgram {
    pre: ProxyPre<State>,
    engine: wasmtime::Engine,
    turns: Arc<Turns>,
    calls: Arc<Semaphore>,
    pool: Arc<WarmPool>,
}

impl WasiHttpProgram {
    pub(super) fn new(engine: &WasiHttpEngine, pre: InstancePre<State>) -> wasmtime::Result<Self> {
        let pre = match p3::bindings::ServicePre::new(pre.clone()) {
            Ok(pre) => ProxyPre::P3(pre),
            Err(_) => ProxyPre::P2(p2::bindings::ProxyPre::new(pre)?),
        };
        let (turns, calls, pool) = (engine.turns.clone(), engine.calls.clone(), engine.warm.clone());
        Ok(Self { pre, engine: engine.wasmtime.clone(), turns, calls, pool })
    }

    /// Calls of an instance unless the manifest says otherwise.
    pub fn default_max_requests(&self) -> u32 {
        match self.pre {
            ProxyPre::P2(_) => DEFAULT_MAX_REQUESTS_P2,
            ProxyPre::P3(_) => DEFAULT_MAX_REQUESTS_P3,
        }
    }

    async fn instantiate(&self, component: &Arc<ComponentContext>) -> wasmtime::Result<Instance> {
        loop {
            match self.try_instantiate(component.clone()).await {
                Err(error) if self.pool.makes_place(&error) => {}
                made => return made,
            }
        }
    }

    async fn try_instantiate(&self, component: Arc<ComponentContext>) -> wasmtime::Result<Instance> {
        let turns = self.turns.of(&component.name);
        let mut store = Store::new(&self.engine, State::new(ComponentKind::WasiHttp, component, turns.clone()));
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(on_tick);
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(HOST_CALL_BYTES);
        let mut making = Box::pin(self.pre.instantiate_async(&mut store));
        let proxy = poll_fn(|context| turns.charge(|| thread_stack::poll(making.as_mut(), context))).await?;
        drop(making);
        store.data().turn().give_back();
        let fresh_bytes = store.data().memory.bytes;
        Ok(Instance { store, proxy, calls: 0, fresh_bytes })
    }
}

struct Instance {
    store: Store<State>,
    proxy: Proxy,
    calls: u32,
    fresh_bytes: usize,
}

/// Receives the head of an answer, or the error that the guest returned
/// instead.
type Head = oneshot::Sender<wasmtime::Result<http::Response<WasiBody>>>;

impl Instance {
    /// Runs the guest until it is done with a request. This may be long after
    /// the head of its answer.
    async fn serve(&mut self, request: http::Request<WasiBody>, head: Head) -> wasmtime::Result<()> {
        let turn = self.store.data().turn();
        let proxy = &self.proxy;
        let mut running = pin!(self.store.run_concurrent(async |accessor| {
            let prepared = accessor
                .with(|mut access| Prepared::new(access.as_context_mut(), proxy, request, State::http, head))?;
            prepared.run(accessor, pending()).await?;
            poll_fn(|context| accessor.poll_no_interesting_tasks(context)).await;
            wasmtime::error::Ok(())
        }));
        poll_fn(|context| {
            let polled = turn.charge(|| thread_stack::poll(running.as_mut(), context));
            if polled.is_pending() {
                // The guest waits, for the host or for its next permit.
                turn.release();
            }
            polled
        })
        .await?
    }
}

/// The instances of one `wasi:http` revision.
pub struct WasiHttpInstances(Arc<Shared>);

struct Shared {
    program: WasiHttpProgram,
    component: Arc<ComponentContext>,
    max_requests: u32,
    warm: Arc<WarmSet<Instance>>,
    retired: CancellationToken,
}

impl WasiHttpInstances {
    /// Creates no instance yet, see [`Self::warm_up`].
    pub fn new(program: WasiHttpProgram, component: Arc<ComponentContext>, max_requests: u32) -> Self {
        Self(Arc::new(Shared {
            warm: program.pool.set(),
            program,
            component,
            max_requests,
            retired: CancellationToken::new(),
        }))
    }

    /// Creates an instance before its first call. This shows whether the
    /// component can be instantiated at all.
    ///
    /// # Errors
    /// The component's start failed.
    pub async fn warm_up(&self) -> Result<(), Failure> {
        let shared = &self.0;
        let making = shared.program.instantiate(&shared.component);
        match tokio::time::timeout(shared.patience(), making).await {
            Ok(Ok(instance)) => {
                shared.keep(instance);
                Ok(())
            }
            Ok(Err(error)) => Err(shared.trap(&error)),
            Err(_) => Err(shared.deadline(None)),
        }
    }

    /// Instances that wait for a call.
    pub fn warm_count(&self) -> usize {
        self.0.warm.count()
    }

    /// Ends the calls that still run.
    pub fn retire(&self) {
        self.0.retired.cancel();
    }

    /// Lets the component answer a request. The host passes the body on while
    /// the component makes it.
    ///
    /// # Errors
    /// See [`Failure`]. `observer` hears of a failure after the head of the
    /// answer.
    pub async fn answer(
        &self,
        call: CallContext,
        request: http::Request<Body>,
        observer: Arc<dyn StreamObserver>,
    ) -> Result<http::Response<Body>, Failure> {
        let shared = &self.0;
        let permit = shared.program.calls.clone().try_acquire_owned().map_err(|_| shared.busy())?;
        let progress = Arc::new(Progress::new(shared.patience(), shared.retired.clone(), observer));
        let limits = &shared.component.limits;
        let request = request.map(|body| request_body(body, limits.body_bytes, progress.request()));
        let (sender, receiver) = oneshot::channel();
        let mut work = Work::new(shared.clone().run(call, request, sender, progress.clone(), permit));
        let waiting = Waiting::new(progress.clone());
        let failure = match work.until(receiver).await {
            Ok(Ok(_)) if progress.request_refused() => shared.too_large(),
            Ok(Ok(answer)) => match answer_head::check_parts(answer.status(), answer.headers()) {
                Ok(_) => {
                    progress.step();
                    waiting.over();
                    work.go_on();
                    return Ok(AnswerBody::of(answer, &shared.component, &progress).map(Body::new));
                }
                Err(problem) => Failure::Answer { component: shared.component.name.clone(), problem },
            },
            Ok(Err(error)) => shared.failure(&error),
            Err(oneshot::Canceled) => {
                Failure::Host { component: shared.component.name.clone(), problem: "its work ended".to_owned() }
            }
        };
        waiting.over();
        drop(work);
        // The failure of the work is nearer to the cause.
        let cause = progress.tell();
        if progress.request_refused() {
            return Err(shared.too_large());
        }
        Err(cause.unwrap_or(failure))
    }
}

impl Shared {
    async fn run(
        self: Arc<Self>,
        call: CallContext,
        request: http::Request<WasiBody>,
        head: Head,
        progress: Arc<Progress>,
        _permit: OwnedSemaphorePermit,
    ) {
        // This outlives the `select!` below. The failure must be known before
        // the guest's resources are dropped, because the other end of the body
        // is one of them.
        let turn = OnceLock::new();
        let mut work = pin!(self.work(call, request, head, &progress, &turn));
        let _unwinding = Unwinding { component: &self.component.name, progress: &progress };
        // Work that never pauses needs no timer.
        tokio::select! {
            biased;
            instance = &mut work => if let Some(instance) = instance {
                self.keep(instance);
            },
            // The guest may have used up what tokio lets a task do at a time.
            overdue = unconstrained(progress.overdue()) => match overdue {
                Overdue::Silent => progress.fail(self.deadline(turn.get())),
                Overdue::Unsent => progress.fail(self.unsent()),
                Overdue::Unread => progress.give_up(),
                Overdue::Unwanted | Overdue::Retired => progress.cut_off(),
            },
        }
    }

    /// Keeps the instance if the call ended well.
    async fn work(
        &self,
        call: CallContext,
        request: http::Request<WasiBody>,
        head: Head,
        progress: &Progress,
        turn: &OnceLock<GuestTurn>,
    ) -> Option<Instance> {
        let mut instance = match self.take(call).await {
            Ok(instance) => {
                turn.get_or_init(|| instance.store.data().turn());
                instance
            }
            Err(error) => {
                progress.fail(self.trap(&error));
                return None;
            }
        };
        match instance.serve(request, head).await {
            Ok(()) => Some(instance),
            Err(error) => {
                progress.fail(self.failure(&error));
                None
            }
        }
    }

    async fn take(&self, call: CallContext) -> wasmtime::Result<Instance> {
        let mut instance = match self.warm.take() {
            Some(instance) => instance,
            None => self.program.instantiate(&self.component).await?,
        };
        instance.calls += 1;
        instance.store.data_mut().begin_call(call.that_ends_within(self.patience()));
        instance.store.data().turn().begin().await;
        instance.store.set_epoch_deadline(1);
        Ok(instance)
    }

    fn keep(&self, mut instance: Instance) {
        let state = instance.store.data_mut();
        state.end_call();
        let grown = state.memory.bytes.saturating_sub(instance.fresh_bytes);
        let is_worn = instance.calls >= self.max_requests || grown > REUSE_GROWTH_BYTES;
        if is_worn || !state.is_clean() {
            return;
        }
        let most = self.program.pool.most(state, &self.warm);
        self.warm.put(instance, most);
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.component.limits.wall_time_ms)
    }

    /// The failure that the guest returned instead of an answer.
    fn failure(&self, error: &wasmtime::Error) -> Failure {
        let code = error.downcast_ref::<p3::bindings::http::types::ErrorCode>().map(|code| format!("{code:?}"));
        let code = code
            .or_else(|| error.downcast_ref::<p2::bindings::http::types::ErrorCode>().map(|code| format!("{code:?}")));
        match code {
            Some(code) => Failure::Answer {
                component: self.component.name.clone(),
                problem: format!("the error {code} in place of a response"),
            },
            None => self.trap(error),
        }
    }

    fn trap(&self, error: &wasmtime::Error) -> Failure {
        self.program.pool.busy(error).unwrap_or_else(|| Failure::of_call(&self.component.name, error))
    }

    fn deadline(&self, turn: Option<&GuestTurn>) -> Failure {
        let milliseconds = self.component.limits.wall_time_ms;
        let computes = turn.is_some_and(GuestTurn::has_computed_lately);
        Failure::Deadline { component: self.component.name.clone(), milliseconds, computes }
    }

    fn unsent(&self) -> Failure {
        let milliseconds = self.component.limits.wall_time_ms;
        Failure::Unsent { component: self.component.name.clone(), milliseconds }
    }

    fn busy(&self) -> Failure {
        Failure::Busy { component: "host".to_owned(), limit: super::MAX_CALLS as usize }
    }

    fn too_large(&self) -> Failure {
        Failure::TooLarge { component: self.component.name.clone(), limit_bytes: self.component.limits.body_bytes }
    }
}
