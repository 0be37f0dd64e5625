//! The transaction of an event or a timer, which begins with its first use.
//!
//! What a component does before that, such as a call to somebody else, keeps
//! none of its other transactions waiting. Whether there is anything to do is
//! known only then: if there is not, or the database cannot be reached, the
//! component's call ends where it stands, without a word to the component.

use super::{Database, DueTimer, Error, Once, Rows, Timer, Transaction, Value};
use async_trait::async_trait;
use host_base::event::Event;
use metrics::Histogram;
use std::{future::pending, sync::Arc, time::Instant};
use tokio::sync::oneshot;

/// Why a transaction did not begin.
#[derive(Debug)]
pub enum NotStarted {
    /// It was done before, or is no longer wanted.
    NothingToDo,
    /// The database's.
    Failed(Error),
}

/// A transaction that may not have begun.
pub struct LazyTransaction {
    database: Arc<dyn Database>,
    once: Once,
    wait: Histogram,
    begun: Option<Box<dyn Transaction>>,
    /// It waits for its turn.
    waits: bool,
    hindrance: Option<oneshot::Sender<NotStarted>>,
}

impl LazyTransaction {
    /// One in which this is done once. What hinders it is told to the receiver,
    /// and the transaction waits for ever to be dropped. `wait` is told how
    /// long its turn took to come.
    pub fn new(database: Arc<dyn Database>, once: Once, wait: Histogram) -> (Self, oneshot::Receiver<NotStarted>) {
        let (hindrance, hindered) = oneshot::channel();
        (Self { database, once, wait, begun: None, waits: false, hindrance: Some(hindrance) }, hindered)
    }

    async fn begun(&mut self) -> &mut dyn Transaction {
        if self.begun.is_none() {
            let asked = Instant::now();
            self.waits = true;
            let begun = self.database.begin_once(&self.once).await;
            self.waits = false;
            self.wait.record(asked.elapsed());
            match begun {
                Ok(Some(transaction)) => self.begun = Some(transaction),
                Ok(None) => self.tell(NotStarted::NothingToDo),
                Err(error) => self.tell(NotStarted::Failed(error)),
            }
        }
        match &mut self.begun {
            Some(transaction) => &mut **transaction,
            None => pending().await,
        }
    }

    fn tell(&mut self, hindrance: NotStarted) {
        if let Some(told) = self.hindrance.take() {
            // If nobody hears it, nobody waits either.
            let _ = told.send(hindrance);
        }
    }
}

impl Drop for LazyTransaction {
    /// Whoever had no more time to wait for its turn has not failed.
    fn drop(&mut self) {
        if self.waits {
            self.tell(NotStarted::Failed(Error::Timeout));
        }
    }
}

#[async_trait]
impl Transaction for LazyTransaction {
    async fn begin(&mut self) {
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

    async fn put_off_timer(&mut self, timer: &DueTimer, due_ms: u64) -> Result<(), Error> {
        self.begun().await.put_off_timer(timer, due_ms).await
    }

    async fn commit(mut self: Box<Self>) -> Result<(), Error> {
        self.begun().await;
        match self.begun.take() {
            Some(transaction) => transaction.commit().await,
            None => pending().await,
        }
    }

    async fn rollback(mut self: Box<Self>) {
        if let Some(transaction) = self.begun.take() {
            transaction.rollback().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{Store, event};
    use super::*;
    use crate::{Databases, SqliteDatabases};
    use std::time::Duration;
    use tokio::time::timeout;

    async fn store(folder: &tempfile::TempDir) -> Store {
        let settings =
            host_config::store::StoreConfig { database_url: None, readers: 2, queue_wait: Duration::from_secs(1) };
        SqliteDatabases::new(folder.path(), &settings).unwrap().open("things").await.unwrap()
    }

    fn deferred(store: &Store) -> (Box<LazyTransaction>, oneshot::Receiver<NotStarted>) {
        let (deferred, hindered) = LazyTransaction::new(store.clone(), Once::Event("e".to_owned()), Histogram::noop());
        (Box::new(deferred), hindered)
    }

    #[tokio::test]
    async fn it_keeps_nobody_waiting_before_its_first_use() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let (mut late, _hindered) = deferred(&store);
        let mut other = store.begin().await.unwrap();
        other.publish(&event("other")).await.unwrap();
        other.commit().await.unwrap();
        late.publish(&event("late")).await.unwrap();
        assert!(store.begin().await.is_err(), "now it has its turn");
        late.commit().await.unwrap();
        assert_eq!(store.outbox(0, 9).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn what_was_done_before_is_not_begun() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        // Without a use, it is done all the same.
        deferred(&store).0.commit().await.unwrap();
        let (mut again, hindered) = deferred(&store);
        let event = event("again");
        assert!(timeout(Duration::from_millis(100), again.publish(&event)).await.is_err(), "there is no answer");
        assert!(matches!(hindered.await, Ok(NotStarted::NothingToDo)));
        assert!(store.outbox(0, 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn one_that_is_dropped_before_its_turn_is_hindered() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let other = store.begin().await.unwrap();
        let (mut late, hindered) = deferred(&store);
        assert!(timeout(Duration::from_millis(100), late.begin()).await.is_err());
        drop(late);
        assert!(matches!(hindered.await, Ok(NotStarted::Failed(Error::Timeout))));
        other.rollback().await;
        let (unused, hindered) = deferred(&store);
        drop(unused);
        assert!(hindered.await.is_err(), "nothing has hindered it");
    }

    #[tokio::test]
    async fn what_hinders_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        store.close().await;
        let (late, hindered) = deferred(&store);
        assert!(timeout(Duration::from_millis(100), late.commit()).await.is_err(), "there is no answer");
        assert!(matches!(hindered.await, Ok(NotStarted::Failed(Error::Unavailable(_)))));
    }
}
