//! The calls of a component to `platform:signals`.

use super::{CallResult, StoreView};
use crate::{
    Error, OpenListener, OpenTransaction,
    bindings::platform::signals::signals::{Host, HostListener},
    topics::check_topic,
};
use std::{sync::Arc, time::Duration};
use wasmtime::component::Resource;

/// The longest wait.
const WAIT_MS: u32 = 10_000;
/// The most waits of one call.
const WAITS: u32 = 200;
/// The most listeners of one call.
const LISTENERS_PER_CALL: usize = 16;
/// The most topics that one transaction notifies.
const TOPICS_PER_TRANSACTION: usize = 100;

/// The turns that a call gives back while it waits.
#[async_trait::async_trait]
pub trait HeldTurns: Send + Sync {
    /// Gives the turns back. Returns false, and changes nothing, if too many
    /// calls wait already.
    fn give_back(&self) -> bool;

    /// Waits for the turns again.
    async fn take_again(&self) -> Result<(), Error>;
}

/// The part of a call that bounds its waits.
#[derive(Default)]
pub struct CallWaits {
    /// The number of waits.
    waits: u32,
    /// One clone for each listener.
    listeners: Arc<()>,
    /// One clone for each transaction that the call has opened.
    transactions: Arc<()>,
}

impl CallWaits {
    /// A counter of the open transactions of the call. Each one holds a clone.
    pub fn transaction(&self) -> Arc<()> {
        self.transactions.clone()
    }

    /// Whether the call has a transaction open.
    pub fn has_transaction(&self) -> bool {
        Arc::strong_count(&self.transactions) > 1
    }

    /// Whether the call has neither a transaction nor a listener.
    pub fn is_over(&self) -> bool {
        !self.has_transaction() && Arc::strong_count(&self.listeners) == 1
    }

    fn check_may_wait(&mut self) -> Result<(), Error> {
        if self.has_transaction() {
            return Err(Error::Invalid("a call does not wait while it has a transaction open".to_owned()));
        }
        if self.waits == WAITS {
            return Err(Error::Limit(format!("more than {WAITS} waits in a call")));
        }
        self.waits += 1;
        Ok(())
    }
}

/// A listener in the table of a call.
pub struct CallListener {
    listener: OpenListener,
    _count: Arc<()>,
}

impl StoreView<'_> {
    async fn notify_in(&mut self, handle: &Resource<OpenTransaction>, topic: String) -> Result<(), Error> {
        check_topic(&topic)?;
        let open = self.open(handle)?;
        if open.topics == TOPICS_PER_TRANSACTION {
            return Err(Error::Limit(format!("more than {TOPICS_PER_TRANSACTION} topics in a transaction")));
        }
        let mut borrowed = open.borrow().await?;
        open.topics += 1;
        borrowed.inner.notify(topic);
        borrowed.give_back(Ok(Ok(())))
    }

    fn open_listener(&mut self, topic: String) -> Result<Resource<CallListener>, Error> {
        if Arc::strong_count(&self.waits.listeners) > LISTENERS_PER_CALL {
            return Err(Error::Limit(format!("more than {LISTENERS_PER_CALL} listeners in a call")));
        }
        let listener = CallListener { listener: self.database()?.listen(topic)?, _count: self.waits.listeners.clone() };
        self.table.push(listener).map_err(|_| Error::Limit("too many open resources".into()))
    }

    async fn wait_for(&mut self, handle: &Resource<CallListener>, timeout_ms: u32) -> Result<bool, Error> {
        let turns = self.turns.ok_or_else(|| Error::Invalid("only the answer to a request waits".to_owned()))?;
        self.waits.check_may_wait()?;
        let open = self.table.get_mut(handle).map_err(|_| Error::Invalid("the listener was dropped".to_owned()))?;
        if open.listener.take_notification() {
            return Ok(true);
        }
        if !turns.give_back() {
            return Err(Error::Limit("too many calls wait".to_owned()));
        }
        // The rows of the call before are in the guest by now.
        *self.held = None;
        let is_notified = open.listener.wait(Duration::from_millis(timeout_ms.min(WAIT_MS).into())).await;
        turns.take_again().await?;
        Ok(is_notified)
    }
}

impl Host for StoreView<'_> {
    async fn notify(&mut self, transaction: Resource<OpenTransaction>, topic: String) -> CallResult<()> {
        Ok(self.notify_in(&transaction, topic).await)
    }
}

impl HostListener for StoreView<'_> {
    async fn listen(&mut self, topic: String) -> CallResult<Resource<CallListener>> {
        Ok(self.open_listener(topic))
    }

    async fn wait(&mut self, listener: Resource<CallListener>, timeout_ms: u32) -> CallResult<bool> {
        Ok(self.wait_for(&listener, timeout_ms).await)
    }

    async fn drop(&mut self, listener: Resource<CallListener>) -> wasmtime::Result<()> {
        // A listener that is not in the table has ended already.
        drop(self.table.delete(listener));
        Ok(())
    }
}
