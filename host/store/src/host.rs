//! What a component's calls of `platform:store/sql` do: the limits that hold
//! for every engine, and then the engine.

use super::{
    Database, Error, OpenTransaction, Rows, Timer, Transaction, Value,
    open::Lent,
    spans::{Operation, Operations, verb},
};
use crate::bindings::platform::store::sql::{Host, HostTransaction};
use host_base::{clock::now_ms, event::Event, id};
use metrics::Histogram;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{timeout, timeout_at};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

/// The most events that one transaction publishes.
pub const EVENTS_PER_TRANSACTION: usize = 1_000;
/// The most timers that one transaction sets.
pub const TIMERS_PER_TRANSACTION: usize = 1_000;
/// The longest key of a timer.
pub const TIMER_KEY_BYTES: usize = 200;
/// The largest payload of a timer.
pub const TIMER_PAYLOAD_BYTES: usize = 64 * 1024;

/// What an invocation lends to its calls of the store.
pub struct StoreView<'a> {
    /// Holds the invocation's open transactions.
    pub table: &'a mut ResourceTable,
    /// None if the component has no database.
    pub database: Option<&'a Arc<dyn Database>>,
    /// The subjects that the component may publish.
    pub publishes: &'a [String],
    /// The component's name.
    pub component: &'a str,
    /// The trace that this invocation belongs to.
    pub traceparent: Option<&'a str>,
    /// How long a transaction may be open.
    pub transaction_ms: u64,
    /// The largest payload of an event.
    pub event_bytes: usize,
    /// How long transactions waited until they began.
    pub wait: &'a Histogram,
}

/// Ties [`StoreView`] to the linker.
struct HasStore;

impl HasData for HasStore {
    type Data<'a> = StoreView<'a>;
}

/// Links `platform:store`; `view` lends what one invocation sees of it.
///
/// # Errors
/// When the linker has the interface already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> StoreView<'_>,
) -> wasmtime::Result<()> {
    crate::bindings::platform::store::sql::add_to_linker::<T, HasStore>(linker, view)
}

impl<'a> StoreView<'a> {
    fn database(&self) -> Result<&Arc<dyn Database>, Error> {
        self.database.ok_or_else(no_database)
    }

    async fn turn(&mut self) -> Result<Box<dyn Transaction>, Error> {
        let begun = Instant::now();
        let transaction = self.operations()?.begin("BEGIN").end(self.database()?.begin().await);
        self.wait.record(begun.elapsed());
        transaction
    }

    fn operations(&self) -> Result<Operations<'a>, Error> {
        let database = self.database.ok_or_else(no_database)?;
        Ok(Operations { database: &**database, component: self.component, traceparent: self.traceparent })
    }

    fn opened(&mut self, handle: &Resource<OpenTransaction>) -> Result<&mut OpenTransaction, Error> {
        self.table.get_mut(handle).map_err(|_| over())
    }

    async fn lend(&mut self, handle: &Resource<OpenTransaction>) -> Result<Lent, Error> {
        self.opened(handle)?.lend().await
    }

    async fn lend_for(
        &mut self,
        handle: &Resource<OpenTransaction>,
        name: &'static str,
    ) -> Result<(Lent, Operation), Error> {
        let operations = self.operations()?;
        Ok((self.lend(handle).await?, operations.begin(name)))
    }

    async fn execute_alone(&mut self, statement: &str, parameters: Vec<Value>) -> Result<u64, Error> {
        let (operations, mut transaction) = (self.operations()?, self.turn().await?);
        let work = async {
            let operation = operations.begin(verb(statement));
            let changed = operation.end(transaction.execute(statement, parameters).await)?;
            operations.begin("COMMIT").end(transaction.commit().await)?;
            Ok(changed)
        };
        timeout(Duration::from_millis(self.transaction_ms), work).await.unwrap_or(Err(Error::Timeout))
    }

    async fn begin_open(&mut self) -> Result<Resource<OpenTransaction>, Error> {
        let inner = self.turn().await?;
        self.table
            .push(OpenTransaction::new(inner, self.transaction_ms))
            .map_err(|_| Error::Limit("too many open resources".into()))
    }

    async fn publish_in(
        &mut self,
        handle: &Resource<OpenTransaction>,
        subject: String,
        payload: Vec<u8>,
    ) -> Result<String, Error> {
        if !self.publishes.contains(&subject) {
            return Err(Error::Invalid(format!("{subject} is not among the subjects that the manifest publishes")));
        }
        if payload.len() > self.event_bytes {
            return Err(Error::Limit(format!("an event of more than {} bytes", self.event_bytes)));
        }
        let event = Event {
            id: id::new().to_string(),
            subject,
            source: self.component.to_owned(),
            time_ms: now_ms(),
            traceparent: self.traceparent.map(str::to_owned),
            payload,
        };
        let open = self.opened(handle)?;
        if open.events == EVENTS_PER_TRANSACTION {
            return Err(Error::Limit(format!("more than {EVENTS_PER_TRANSACTION} events in a transaction")));
        }
        let mut lent = open.lend().await?;
        open.events += 1;
        let result = timeout_at(lent.deadline, lent.inner.publish(&event)).await;
        lent.give_back(result)?;
        Ok(event.id)
    }

    async fn schedule_in(&mut self, handle: &Resource<OpenTransaction>, mut timer: Timer) -> Result<(), Error> {
        if timer.key.is_empty() || timer.key.len() > TIMER_KEY_BYTES {
            return Err(Error::Limit(format!("a timer's key has 1 to {TIMER_KEY_BYTES} bytes")));
        }
        if timer.key.contains('\0') {
            return Err(Error::Invalid("a timer's key has a zero byte".to_owned()));
        }
        if timer.payload.len() > TIMER_PAYLOAD_BYTES {
            return Err(Error::Limit(format!("a timer of more than {TIMER_PAYLOAD_BYTES} bytes")));
        }
        // A time that is past says `now`.
        timer.due_ms = timer.due_ms.max(now_ms());
        let traceparent = self.traceparent;
        let open = self.table.get_mut(handle).map_err(|_| over())?;
        if open.timers == TIMERS_PER_TRANSACTION {
            return Err(Error::Limit(format!("more than {TIMERS_PER_TRANSACTION} timers in a transaction")));
        }
        let mut lent = open.lend().await?;
        open.timers += 1;
        let result = timeout_at(lent.deadline, lent.inner.schedule(&timer, traceparent)).await;
        lent.give_back(result)
    }
}

impl Host for StoreView<'_> {
    async fn query(&mut self, statement: String, parameters: Vec<Value>) -> wasmtime::Result<Result<Rows, Error>> {
        let operations = match self.operations() {
            Ok(operations) => operations,
            Err(error) => return Ok(Err(error)),
        };
        let operation = operations.begin(verb(&statement));
        Ok(operation.end(operations.database.query(&statement, parameters).await))
    }

    async fn execute(&mut self, statement: String, parameters: Vec<Value>) -> wasmtime::Result<Result<u64, Error>> {
        Ok(self.execute_alone(&statement, parameters).await)
    }
}

impl HostTransaction for StoreView<'_> {
    async fn begin(&mut self) -> wasmtime::Result<Result<Resource<OpenTransaction>, Error>> {
        Ok(self.begin_open().await)
    }

    async fn query(
        &mut self,
        handle: Resource<OpenTransaction>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let (mut lent, operation) = match self.lend_for(&handle, verb(&statement)).await {
            Ok(both) => both,
            Err(error) => return Ok(Err(error)),
        };
        let result = timeout_at(lent.deadline, lent.inner.query(&statement, parameters)).await;
        Ok(operation.end(lent.give_back(result)))
    }

    async fn execute(
        &mut self,
        handle: Resource<OpenTransaction>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let (mut lent, operation) = match self.lend_for(&handle, verb(&statement)).await {
            Ok(both) => both,
            Err(error) => return Ok(Err(error)),
        };
        let result = timeout_at(lent.deadline, lent.inner.execute(&statement, parameters)).await;
        Ok(operation.end(lent.give_back(result)))
    }

    async fn publish(
        &mut self,
        handle: Resource<OpenTransaction>,
        subject: String,
        payload: Vec<u8>,
    ) -> wasmtime::Result<Result<String, Error>> {
        Ok(self.publish_in(&handle, subject, payload).await)
    }

    async fn schedule(
        &mut self,
        handle: Resource<OpenTransaction>,
        timer: Timer,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.schedule_in(&handle, timer).await)
    }

    async fn cancel_timer(
        &mut self,
        handle: Resource<OpenTransaction>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let mut lent = match self.lend(&handle).await {
            Ok(lent) => lent,
            Err(error) => return Ok(Err(error)),
        };
        let result = timeout_at(lent.deadline, lent.inner.cancel_timer(&key)).await;
        Ok(lent.give_back(result))
    }

    async fn commit(&mut self, handle: Resource<OpenTransaction>) -> wasmtime::Result<Result<(), Error>> {
        let begun = async {
            let operations = self.operations()?;
            let mut open = self.table.delete(handle).map_err(|_| over())?;
            Ok((open.lend().await?, operations.begin("COMMIT")))
        };
        let (lent, operation) = match begun.await {
            Ok(both) => both,
            Err(error) => return Ok(Err(error)),
        };
        // Not bounded by the deadline: a commit that has begun ends, and the
        // guest learns how.
        Ok(operation.end(lent.inner.commit().await))
    }

    async fn rollback(&mut self, handle: Resource<OpenTransaction>) -> wasmtime::Result<()> {
        self.drop(handle).await
    }

    async fn drop(&mut self, handle: Resource<OpenTransaction>) -> wasmtime::Result<()> {
        if let Some(inner) = self.table.delete(handle).ok().and_then(OpenTransaction::into_inner) {
            inner.rollback().await;
        }
        Ok(())
    }
}

fn no_database() -> Error {
    Error::Unavailable("the component has no database".into())
}

fn over() -> Error {
    Error::Invalid("the transaction is over".into())
}

#[cfg(test)]
mod tests;
