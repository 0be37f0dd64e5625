//! The calls of a component to `platform:store/sql`, `platform:signals` and `platform:live`. The
//! limits here hold for every engine.

mod on_database;
mod on_live;
mod on_signals;
mod on_transaction;

use super::{
    ComponentSql, Error, HeldMemory, OpenTransaction, RequestClaim, Rows, Timer, Value,
    memory::{memory_of, memory_of_rows},
    sql_span::SqlTracer,
};
use crate::bindings::platform::{
    live::live,
    signals::signals,
    store::sql::{self, Host, HostTransaction},
};
use host_config::{offer::Offer, plugins::Grant};
use metrics::Histogram;
pub(crate) use on_live::LiveCount;
pub use on_signals::{CallListener, CallWaits, HeldTurns};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable, ResourceType};

/// The interfaces of the store and the grant that they need.
pub const OFFER: Offer = Offer {
    grant: Grant::Store,
    interfaces: &["platform:store/sql", "platform:signals/signals", "platform:live/live"],
};

/// The parts of an invocation that its calls of the store use.
pub struct StoreView<'a> {
    /// Holds the invocation's open transactions.
    pub table: &'a mut ResourceTable,
    /// None if the component has no database.
    pub database: Option<&'a dyn ComponentSql>,
    /// What the transactions of a call with an `Idempotency-Key` claim.
    pub claim: Option<&'a RequestClaim>,
    /// The subjects that the component may publish.
    pub publishes: &'a [String],
    /// The component's name.
    pub component: &'a str,
    /// The trace of this invocation.
    pub traceparent: Option<&'a str>,
    /// How long a transaction may be open.
    pub transaction_ms: u64,
    /// The largest payload of an event.
    pub event_bytes: usize,
    /// Records how long transactions wait for the write lock.
    pub wait: &'a Histogram,
    /// The memory of the last call's parameters or rows. It counts until the
    /// next call, because the rows are copied into the guest after this one.
    pub held: &'a mut Option<HeldMemory>,
    /// The turns that a call gives back while it waits. None if it may not
    /// wait.
    pub turns: Option<&'a dyn HeldTurns>,
    /// Bounds the waits of the call.
    pub waits: &'a mut CallWaits,
}

/// Ties [`StoreView`] to the linker.
struct HasStore;

impl HasData for HasStore {
    type Data<'a> = StoreView<'a>;
}

/// Links `platform:store`, `platform:signals` and `platform:live`; `view` lends the parts of an
/// invocation that they use.
///
/// # Errors
/// When the linker has an interface already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> StoreView<'_>,
) -> wasmtime::Result<()> {
    sql::add_to_linker::<T, HasStore>(linker, view)?;
    signals::add_to_linker::<T, HasStore>(linker, view)?;
    live::add_to_linker::<T, HasStore>(linker, view)?;
    // These interfaces use the resource of the first one. If it were missing here,
    // `define_unknown_imports_as_traps` would define it as a resource of its own.
    for interface in ["platform:signals/signals@1.0.0", "platform:live/live@1.0.0"] {
        let transaction = ResourceType::host::<OpenTransaction>();
        linker.instance(interface)?.resource("transaction", transaction, |_, _| Ok(()))?;
    }
    Ok(())
}

impl<'a> StoreView<'a> {
    fn database(&self) -> Result<&'a dyn ComponentSql, Error> {
        self.database.ok_or_else(|| Error::Unavailable("the component has no database".into()))
    }

    /// Counts memory in place of that of the call before.
    fn hold(&mut self, bytes: usize) -> Result<(), Error> {
        let database = self.database()?;
        self.held.get_or_insert_with(|| HeldMemory::of(database.memory())).replace(bytes)
    }

    /// Counts parameters. They are there twice, as values and as arguments of
    /// the driver.
    fn hold_parameters(&mut self, parameters: &[Value]) -> Result<(), Error> {
        self.hold(memory_of(parameters).saturating_mul(2))
    }

    /// Rolls a transaction back that is not over.
    async fn end(&mut self, handle: Resource<OpenTransaction>) {
        if let Some(inner) = self.table.delete(handle).ok().and_then(OpenTransaction::into_inner) {
            inner.rollback().await;
        }
    }

    fn hold_rows(&mut self, rows: Rows) -> Result<Rows, Error> {
        self.hold(memory_of_rows(&rows)).map(|()| rows)
    }

    fn tracer(&self) -> Result<SqlTracer<'a>, Error> {
        let system_name = self.database()?.system_name();
        Ok(SqlTracer { system_name, component: self.component, traceparent: self.traceparent })
    }
}

/// The result of a call: the outer error ends the guest, the inner error is for
/// the guest.
type CallResult<T> = wasmtime::Result<Result<T, Error>>;

impl Host for StoreView<'_> {
    async fn query(&mut self, statement: String, parameters: Vec<Value>) -> CallResult<Rows> {
        let rows = self.query_snapshot(&statement, parameters).await;
        Ok(rows.and_then(|rows| self.hold_rows(rows)))
    }

    async fn execute(&mut self, statement: String, parameters: Vec<Value>) -> CallResult<u64> {
        Ok(self.execute_and_commit(&statement, parameters).await)
    }
}

impl HostTransaction for StoreView<'_> {
    async fn begin(&mut self) -> CallResult<Resource<OpenTransaction>> {
        Ok(self.open_transaction().await)
    }

    async fn query(
        &mut self,
        handle: Resource<OpenTransaction>,
        statement: String,
        parameters: Vec<Value>,
    ) -> CallResult<Rows> {
        let rows = self.query_in(&handle, &statement, parameters).await;
        Ok(rows.and_then(|rows| self.hold_rows(rows)))
    }

    async fn execute(
        &mut self,
        handle: Resource<OpenTransaction>,
        statement: String,
        parameters: Vec<Value>,
    ) -> CallResult<u64> {
        Ok(self.execute_in(&handle, &statement, parameters).await)
    }

    async fn publish(
        &mut self,
        handle: Resource<OpenTransaction>,
        subject: String,
        payload: Vec<u8>,
    ) -> CallResult<String> {
        Ok(self.publish_in(&handle, subject, payload).await)
    }

    async fn schedule(&mut self, handle: Resource<OpenTransaction>, timer: Timer) -> CallResult<()> {
        Ok(self.schedule_in(&handle, timer).await)
    }

    async fn cancel_timer(&mut self, handle: Resource<OpenTransaction>, key: String) -> CallResult<bool> {
        Ok(self.cancel_timer_in(&handle, &key).await)
    }

    async fn commit(&mut self, handle: Resource<OpenTransaction>) -> CallResult<()> {
        Ok(self.commit_open(handle).await)
    }

    async fn rollback(&mut self, handle: Resource<OpenTransaction>) -> wasmtime::Result<()> {
        self.end(handle).await;
        Ok(())
    }

    async fn drop(&mut self, handle: Resource<OpenTransaction>) -> wasmtime::Result<()> {
        if self.table.get(&handle).is_ok_and(OpenTransaction::would_lose_changes) {
            let component = self.component;
            tracing::warn!(
                target: "plugin",
                component,
                "the component dropped a transaction without a commit, so its changes are lost"
            );
        }
        self.end(handle).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
