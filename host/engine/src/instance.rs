//! Instances of one revision. The host creates an instance when a call needs
//! one, uses it for one call at a time, and drops it after a trap, an open
//! transaction or much memory growth.

use super::{
    CallContext, ComponentContext, Failure, Handled, Outcome, Request, State,
    bindings::{
        exports::platform::http::handler as http,
        platform::messaging::types::{Disposition, Event},
    },
    exports::{Exports, Guests},
    state::on_tick,
    turns::{GuestTurn, PluginTurns, Turns},
    warm::{WarmPool, WarmSet},
};
use host_artifact::ComponentKind;
use host_base::{text, thread_stack};
use host_store::{OpenTransaction, Timer, Transaction};
use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};
use wasmtime::{
    Store,
    component::{InstancePre, Resource},
};

/// A component that is linked and ready to be instantiated.
pub struct Program {
    kind: ComponentKind,
    pre: InstancePre<State>,
    exports: Exports,
    turns: Arc<Turns>,
    warm: Arc<WarmPool>,
}

impl Program {
    pub(super) fn new(kind: ComponentKind, pre: InstancePre<State>, turns: Arc<Turns>, warm: Arc<WarmPool>) -> Self {
        Self { kind, exports: Exports::find(&pre), pre, turns, warm }
    }

    /// Whether it answers requests.
    pub fn handles_http(&self) -> bool {
        self.exports.handle_requests()
    }

    /// Whether it applies events.
    pub fn handles_events(&self) -> bool {
        self.exports.handle_events()
    }

    /// Whether it handles timers.
    pub fn handles_timers(&self) -> bool {
        self.exports.handle_timers()
    }

    /// Creates an instance. In a full pool it drops an instance that waits for
    /// a call.
    async fn instantiate(
        &self,
        component: &Arc<ComponentContext>,
        turns: &Arc<PluginTurns>,
    ) -> wasmtime::Result<Instance> {
        loop {
            match self.try_instantiate(component.clone(), turns.clone()).await {
                Err(error) if self.warm.makes_place(&error) => {}
                made => return made,
            }
        }
    }

    async fn try_instantiate(
        &self,
        component: Arc<ComponentContext>,
        turns: Arc<PluginTurns>,
    ) -> wasmtime::Result<Instance> {
        let call_bytes = HOST_CALL_BYTES + component.limits.response_bytes;
        let mut store = Store::new(self.pre.engine(), State::new(self.kind, component, turns));
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(on_tick);
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(call_bytes);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let guests = self.exports.load(&mut store, &instance)?;
        let fresh_bytes = store.data().memory.bytes;
        Ok(Instance { store, guests, calls: 0, fresh_bytes })
    }
}

/// An instance, in a call or between two calls.
pub(super) struct Instance {
    store: Store<State>,
    guests: Guests,
    calls: u32,
    fresh_bytes: usize,
}

/// The bytes that a guest may pass in one call into the host, or in one answer
/// beside the body. A list whose elements are the same bytes of its memory would
/// otherwise become much larger in the host.
pub(super) const HOST_CALL_BYTES: usize = 16 << 20;

/// The largest memory growth of an instance that is used again.
const REUSE_GROWTH_BYTES: usize = 16 << 20;

/// The instances of one revision.
pub struct Instances {
    program: Program,
    component: Arc<ComponentContext>,
    max_requests: u32,
    turns: Arc<PluginTurns>,
    warm: Arc<WarmSet<Instance>>,
}

impl Instances {
    /// Creates no instance yet, see [`Self::warm_up`].
    pub fn new(program: Program, component: Arc<ComponentContext>, max_requests: u32) -> Self {
        let (warm, turns) = (program.warm.set(), program.turns.of(&component.name));
        Self { program, component, max_requests, turns, warm }
    }

    /// Creates an instance before its first call. This shows whether the
    /// component can be instantiated at all.
    ///
    /// # Errors
    /// The component's start failed.
    pub async fn warm_up(&self) -> Result<(), Failure> {
        let instance = self.bounded(&OnceLock::new(), self.program.instantiate(&self.component, &self.turns)).await?;
        self.keep(instance);
        Ok(())
    }

    /// Instances that wait for a call.
    pub fn warm_count(&self) -> usize {
        self.warm.count()
    }

    /// Lets the component answer a request.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn answer(&self, call: CallContext, request: &Request) -> Result<http::Response, Failure> {
        let (call, turn) = (self.with_deadline(call), OnceLock::new());
        let (instance, response) = self
            .bounded(&turn, async {
                let mut instance = self.take(call, &turn).await?;
                let response = instance.guests.answer(&mut instance.store, request).await?;
                Ok((instance, response))
            })
            .await?;
        self.keep(instance);
        Ok(response)
    }

    /// Lets the component apply an event within a transaction.
    ///
    /// # Errors
    /// See [`Failure`]; the transaction is rolled back.
    pub async fn apply(
        &self,
        call: CallContext,
        event: &Event,
        transaction: Box<dyn Transaction>,
    ) -> Result<Handled, Failure> {
        self.deliver(call, transaction, async |instance, borrow| {
            instance.guests.apply(&mut instance.store, event, borrow).await
        })
        .await
    }

    /// Lets the component handle a timer within a transaction.
    ///
    /// # Errors
    /// See [`Failure`]; the transaction is rolled back.
    pub async fn fire(
        &self,
        call: CallContext,
        timer: &Timer,
        attempt: u32,
        transaction: Box<dyn Transaction>,
    ) -> Result<Handled, Failure> {
        self.deliver(call, transaction, async |instance, borrow| {
            instance.guests.fire(&mut instance.store, timer, attempt, borrow).await
        })
        .await
    }

    /// Lends the transaction to the guest for one call of a handler, and takes
    /// it back.
    async fn deliver(
        &self,
        call: CallContext,
        transaction: Box<dyn Transaction>,
        handle: impl AsyncFnOnce(&mut Instance, Resource<OpenTransaction>) -> wasmtime::Result<Result<(), Disposition>>,
    ) -> Result<Handled, Failure> {
        let (call, turn) = (self.with_deadline(call), OnceLock::new());
        let (instance, handled) = self
            .bounded(&turn, async {
                let mut instance = self.take(call, &turn).await?;
                let own = self.lend(&mut instance, transaction)?;
                let disposition = handle(&mut instance, Resource::new_borrow(own.rep())).await?;
                let transaction = instance.store.data_mut().table.delete(own)?.into_inner();
                Ok((instance, handled(disposition, transaction)))
            })
            .await?;
        self.keep(instance);
        Ok(handled)
    }

    /// The linked component of the instances.
    pub fn program(&self) -> &Program {
        &self.program
    }

    fn lend(
        &self,
        instance: &mut Instance,
        transaction: Box<dyn Transaction>,
    ) -> wasmtime::Result<Resource<OpenTransaction>> {
        let state = instance.store.data_mut();
        let count = state.open_transactions();
        let open = OpenTransaction::lazy(transaction, self.component.limits.transaction_ms, &count);
        Ok(state.table.push(open)?)
    }

    /// The context with the time at which [`Self::bounded`] ends the call.
    fn with_deadline(&self, call: CallContext) -> CallContext {
        call.that_ends_within(Duration::from_millis(self.component.limits.wall_time_ms))
    }

    async fn take(&self, call: CallContext, turn: &OnceLock<GuestTurn>) -> wasmtime::Result<Instance> {
        let mut instance = match self.warm.take() {
            Some(instance) => instance,
            None => self.program.instantiate(&self.component, &self.turns).await?,
        };
        instance.calls += 1;
        instance.store.data_mut().begin_call(call);
        turn.get_or_init(|| instance.store.data().turn()).begin().await;
        instance.store.set_epoch_deadline(1);
        Ok(instance)
    }

    /// Keeps an instance for the next call, if the call ended well. An instance
    /// with an open transaction is dropped, which rolls the transaction back.
    fn keep(&self, mut instance: Instance) {
        instance.store.data_mut().end_call();
        let state = instance.store.data();
        let grown = state.memory.bytes.saturating_sub(instance.fresh_bytes);
        let is_worn = instance.calls >= self.max_requests || grown > REUSE_GROWTH_BYTES;
        if is_worn || !state.is_clean() {
            return;
        }
        let most = self.program.warm.most(state, &self.warm);
        self.warm.put(instance, most);
    }

    /// Enforces the deadline outside of the guest. When the deadline passes,
    /// the host drops the work and the instance, whatever the guest is doing.
    /// `turn` tells whether the guest computes then.
    async fn bounded<R>(
        &self,
        turn: &OnceLock<GuestTurn>,
        work: impl Future<Output = wasmtime::Result<R>>,
    ) -> Result<R, Failure> {
        let milliseconds = self.component.limits.wall_time_ms;
        let component = || self.component.name.clone();
        let mut work = pin!(work);
        let work = poll_fn(|context| {
            let polled = self.turns.charge(|| thread_stack::poll(work.as_mut(), context));
            if let (true, Some(turn)) = (polled.is_pending(), turn.get()) {
                turn.release();
            }
            polled
        });
        match tokio::time::timeout(Duration::from_millis(milliseconds), work).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => {
                let busy = self.program.warm.busy(&error);
                Err(busy.unwrap_or_else(|| Failure::of_call(&component(), &error)))
            }
            Err(_) => {
                let computes = turn.get().is_some_and(GuestTurn::computes);
                if !computes && self.component.database.as_ref().is_some_and(|database| !database.is_available()) {
                    return Err(Failure::Database { component: component(), milliseconds });
                }
                Err(Failure::Deadline { component: component(), milliseconds, computes })
            }
        }
    }
}

/// Translates a handler's answer. The transaction is none if its time limit
/// ended it.
fn handled(disposition: Result<(), Disposition>, transaction: Option<Box<dyn Transaction>>) -> Handled {
    match (disposition, transaction) {
        (Ok(()), Some(transaction)) => Ok(transaction),
        (Ok(()), None) => Err(Outcome::retry("the transaction was over its time limit")),
        (Err(Disposition::Retry(delay_ms)), _) => {
            let after = delay_ms.map(Duration::from_millis);
            Err(Outcome::Retry { after, reason: "it asked for another attempt".to_owned() })
        }
        (Err(Disposition::Reject(reason)), _) => Err(Outcome::DeadLetter(text::failure_reason(&reason))),
    }
}
