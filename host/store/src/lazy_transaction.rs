//! The transaction of an event or a timer, which begins with its first use.
//!
//! Until then the component's other transactions do not wait for it, for example
//! while its handler calls another service. Only the beginning shows whether the
//! delivery still has an effect. If it has none, or the database is unavailable,
//! the call never returns to the component; the host is told and ends the
//! invocation.

use super::{
    Error, IdempotencyKey, Inbox, LiveEvent, Rows, Timer, Transaction, Value, open_transaction::transaction_is_over,
    sql_span::SqlTracer,
};
use async_trait::async_trait;
use host_base::event::Event;
use std::{future::pending, sync::Arc, time::Instant};
use tokio::sync::oneshot;

/// Why a transaction did not begin.
#[derive(Debug)]
pub enum NotStarted {
    /// The key was claimed before, or its timer was replaced or cancelled.
    NothingToDo,
    /// The error of the database.
    Failed(Error),
}

/// A transaction that claims an [`IdempotencyKey`] with its first use.
pub struct LazyTransaction {
    inbox: Arc<dyn Inbox>,
    key: IdempotencyKey,
    component: String,
    traceparent: Option<String>,
    begun: Option<Box<dyn Transaction>>,
    /// Whether it waits for the write lock.
    is_beginning: bool,
    /// Empty once the receiver was told.
    not_started: Option<oneshot::Sender<NotStarted>>,
}

impl LazyTransaction {
    /// A transaction of a component that has not begun. The receiver is told if
    /// it cannot begin; then every call waits until the transaction is dropped.
    pub fn new(
        inbox: Arc<dyn Inbox>,
        key: IdempotencyKey,
        component: &str,
        traceparent: Option<&str>,
    ) -> (Self, oneshot::Receiver<NotStarted>) {
        let (sender, receiver) = oneshot::channel();
        let lazy = Self {
            inbox,
            key,
            component: component.to_owned(),
            traceparent: traceparent.map(str::to_owned),
            begun: None,
            is_beginning: false,
            not_started: Some(sender),
        };
        (lazy, receiver)
    }

    /// The transaction, which begins now if it has not begun.
    async fn begun(&mut self) -> &mut dyn Transaction {
        if self.begun.is_none() {
            self.begin().await;
        }
        match &mut self.begun {
            Some(transaction) => &mut **transaction,
            None => pending().await,
        }
    }

    async fn begin(&mut self) {
        let asked = Instant::now();
        self.is_beginning = true;
        let begun = self.inbox.begin_once(&self.key).await;
        self.is_beginning = false;
        metrics::histogram!("store_wait_seconds", "component" => self.component.clone()).record(asked.elapsed());
        match begun {
            Ok(Some(transaction)) => self.begun = Some(transaction),
            Ok(None) => self.report(NotStarted::NothingToDo),
            Err(error) => self.report(NotStarted::Failed(error)),
        }
    }

    fn report(&mut self, reason: NotStarted) {
        if let Some(sender) = self.not_started.take() {
            // Without a receiver, the delivery has ended already.
            drop(sender.send(reason));
        }
    }
}

impl Drop for LazyTransaction {
    /// A delivery whose time ended while it waited for the write lock is
    /// repeated. It does not count as a failure of the component.
    fn drop(&mut self) {
        if self.is_beginning {
            self.report(NotStarted::Failed(Error::Timeout));
        }
    }
}

#[async_trait]
impl Transaction for LazyTransaction {
    async fn ensure_begun(&mut self) {
        self.begun().await;
    }

    async fn query(&mut self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error> {
        self.begun().await.query(statement, parameters).await
    }

    async fn execute(&mut self, statement: &str, parameters: Vec<Value>) -> Result<u64, Error> {
        self.begun().await.execute(statement, parameters).await
    }

    async fn publish(&mut self, event: &Event) -> Result<(), Error> {
        self.begun().await.publish(event).await
    }

    async fn schedule(&mut self, timer: &Timer, traceparent: Option<&str>) -> Result<(), Error> {
        self.begun().await.schedule(timer, traceparent).await
    }

    async fn cancel_timer(&mut self, key: &str) -> Result<bool, Error> {
        self.begun().await.cancel_timer(key).await
    }

    fn notify(&mut self, topic: String) {
        if let Some(transaction) = &mut self.begun {
            transaction.notify(topic);
        }
    }

    fn send_live(&mut self, event: LiveEvent) -> Result<(), Error> {
        self.begun.as_mut().ok_or_else(transaction_is_over)?.send_live(event)
    }

    async fn commit(mut self: Box<Self>) -> Result<(), Error> {
        let system_name = self.inbox.system_name();
        self.begun().await;
        let Some(transaction) = self.begun.take() else { return pending().await };
        let tracer = SqlTracer { system_name, component: &self.component, traceparent: self.traceparent.as_deref() };
        tracer.start("COMMIT").end(transaction.commit().await)
    }

    async fn rollback(mut self: Box<Self>) {
        if let Some(transaction) = self.begun.take() {
            transaction.rollback().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Databases, SqliteDatabases,
        conformance::{Store, event},
    };
    use host_config::store::StoreConfig;
    use std::time::Duration;
    use tokio::time::timeout;

    async fn store(folder: &tempfile::TempDir) -> Store {
        let settings = StoreConfig {
            database_url: None,
            readers: 2,
            queue_wait: Duration::from_secs(1),
            disk_reserve_bytes: 0,
            memory_bytes: 64 << 20,
        };
        SqliteDatabases::new(folder.path(), &settings).unwrap().open("things").await.unwrap()
    }

    fn lazy(store: &Store) -> (Box<LazyTransaction>, oneshot::Receiver<NotStarted>) {
        let key = IdempotencyKey::Event("e".to_owned());
        let (lazy, not_started) = LazyTransaction::new(store.clone(), key, "things", None);
        (Box::new(lazy), not_started)
    }

    #[tokio::test]
    async fn no_transaction_waits_for_it_before_its_first_use() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let (mut lazy, _not_started) = lazy(&store);
        let mut other = store.begin().await.unwrap();
        other.publish(&event("other")).await.unwrap();
        other.commit().await.unwrap();
        lazy.publish(&event("lazy")).await.unwrap();
        assert!(store.begin().await.is_err(), "it does not hold the write lock");
        lazy.commit().await.unwrap();
        assert_eq!(store.read_outbox(0, 9).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_key_that_was_claimed_before_begins_no_transaction() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        // A commit without another use claims the key too.
        lazy(&store).0.commit().await.unwrap();
        let (mut again, not_started) = lazy(&store);
        let event = event("again");
        assert!(timeout(Duration::from_millis(100), again.publish(&event)).await.is_err(), "the call returns");
        assert!(matches!(not_started.await, Ok(NotStarted::NothingToDo)));
        assert!(store.read_outbox(0, 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn dropping_it_while_it_waits_for_the_write_lock_reports_a_timeout() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let other = store.begin().await.unwrap();
        let (mut waiting, not_started) = lazy(&store);
        assert!(timeout(Duration::from_millis(100), waiting.ensure_begun()).await.is_err());
        drop(waiting);
        assert!(matches!(not_started.await, Ok(NotStarted::Failed(Error::Timeout))));
        other.rollback().await;
        let (unused, not_started) = lazy(&store);
        drop(unused);
        assert!(not_started.await.is_err(), "nothing has failed");
    }

    #[tokio::test]
    async fn an_error_at_its_beginning_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        store.close().await;
        let (lazy, not_started) = lazy(&store);
        assert!(timeout(Duration::from_millis(100), lazy.commit()).await.is_err(), "the call returns");
        assert!(matches!(not_started.await, Ok(NotStarted::Failed(Error::Unavailable(_)))));
    }
}
