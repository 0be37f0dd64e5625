//! The handlers that a component exports. Each has two names: the one of its own
//! package, and the one of `platform:handlers`, which every binding generator can
//! export beside the others. A handler of requests may also take them in one piece.

use crate::{
    Request, State,
    bindings::{
        exports::platform::{
            handlers::{event_handler, request_handler, timer_handler},
            http::handler as http,
            messaging::handler as messaging,
            timers::handler as timers,
        },
        packed::exports::platform::packed::packed_handler,
        platform::messaging::types::{Disposition, Event},
    },
};
use host_store::{OpenTransaction, Timer};
use wasmtime::{
    Store,
    component::{Instance, InstancePre, Resource},
};

/// A handler by one of its two names.
enum Named<N, P> {
    /// As `platform:handlers` names it.
    New(N),
    /// As its own package names it.
    Plain(P),
}

/// Where the handlers are in a component.
pub(super) struct Exports {
    packed: Option<packed_handler::GuestIndices>,
    requests: Option<Named<request_handler::GuestIndices, http::GuestIndices>>,
    events: Option<Named<event_handler::GuestIndices, messaging::GuestIndices>>,
    timers: Option<Named<timer_handler::GuestIndices, timers::GuestIndices>>,
}

/// The handlers of an instance.
pub(super) struct Guests {
    packed: Option<packed_handler::Guest>,
    requests: Option<Named<request_handler::Guest, http::Guest>>,
    events: Option<Named<event_handler::Guest, messaging::Guest>>,
    timers: Option<Named<timer_handler::Guest, timers::Guest>>,
}

impl<N, P> Named<N, P> {
    fn find(new: wasmtime::Result<N>, plain: wasmtime::Result<P>) -> Option<Self> {
        new.map(Self::New).or_else(|_| plain.map(Self::Plain)).ok()
    }
}

/// Loads a handler if the component has it.
macro_rules! load {
    ($indices:expr, $store:ident, $instance:ident) => {
        match $indices {
            Some(Named::New(indices)) => Some(Named::New(indices.load(&mut *$store, $instance)?)),
            Some(Named::Plain(indices)) => Some(Named::Plain(indices.load(&mut *$store, $instance)?)),
            None => None,
        }
    };
}

impl Exports {
    pub(super) fn find(pre: &InstancePre<State>) -> Self {
        Self {
            packed: packed_handler::GuestIndices::new(pre).ok(),
            requests: Named::find(request_handler::GuestIndices::new(pre), http::GuestIndices::new(pre)),
            events: Named::find(event_handler::GuestIndices::new(pre), messaging::GuestIndices::new(pre)),
            timers: Named::find(timer_handler::GuestIndices::new(pre), timers::GuestIndices::new(pre)),
        }
    }

    pub(super) fn handle_requests(&self) -> bool {
        self.packed.is_some() || self.requests.is_some()
    }

    pub(super) fn handle_events(&self) -> bool {
        self.events.is_some()
    }

    pub(super) fn handle_timers(&self) -> bool {
        self.timers.is_some()
    }

    pub(super) fn load(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Guests> {
        let packed = self.packed.as_ref().map(|indices| indices.load(&mut *store, instance)).transpose()?;
        Ok(Guests {
            packed,
            requests: load!(&self.requests, store, instance),
            events: load!(&self.events, store, instance),
            timers: load!(&self.timers, store, instance),
        })
    }
}

impl Guests {
    pub(super) async fn answer(&self, store: &mut Store<State>, request: &Request) -> wasmtime::Result<http::Response> {
        if let Some(guest) = &self.packed {
            return guest.call_handle(store, request.packed()).await;
        }
        match &self.requests {
            Some(Named::New(guest)) => guest.call_handle(store, &request.record()).await,
            Some(Named::Plain(guest)) => guest.call_handle(store, &request.record()).await,
            None => Err(missing("requests")),
        }
    }

    pub(super) async fn apply(
        &self,
        store: &mut Store<State>,
        event: &Event,
        transaction: Resource<OpenTransaction>,
    ) -> wasmtime::Result<Result<(), Disposition>> {
        match &self.events {
            Some(Named::New(guest)) => guest.call_handle(store, event, transaction).await,
            Some(Named::Plain(guest)) => guest.call_handle(store, event, transaction).await,
            None => Err(missing("events")),
        }
    }

    pub(super) async fn fire(
        &self,
        store: &mut Store<State>,
        timer: &Timer,
        attempt: u32,
        transaction: Resource<OpenTransaction>,
    ) -> wasmtime::Result<Result<(), Disposition>> {
        match &self.timers {
            Some(Named::New(guest)) => guest.call_handle(store, timer, attempt, transaction).await,
            Some(Named::Plain(guest)) => guest.call_handle(store, timer, attempt, transaction).await,
            None => Err(missing("timers")),
        }
    }
}

fn missing(work: &str) -> wasmtime::Error {
    wasmtime::format_err!("the component exports no handler of {work}")
}
