//! The transaction of a component.

use super::{Error, LiveEvent, Rows, Timer, Value};
use async_trait::async_trait;
use host_base::event::Event;

/// A transaction of one component. Dropping it rolls it back.
#[async_trait]
pub trait Transaction: Send + 'static {
    /// Begins now, if the transaction begins only with its first use.
    async fn ensure_begun(&mut self) {}

    /// Runs one statement and returns its rows.
    async fn query(&mut self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error>;

    /// Runs one statement and returns the number of rows that it changed.
    async fn execute(&mut self, statement: &str, parameters: Vec<Value>) -> Result<u64, Error>;

    /// Adds an event to the outbox.
    async fn publish(&mut self, event: &Event) -> Result<(), Error>;

    /// Sets a timer. It replaces a timer with the same key.
    async fn schedule(&mut self, timer: &Timer, traceparent: Option<&str>) -> Result<(), Error>;

    /// Removes a timer. Returns whether there was one.
    async fn cancel_timer(&mut self, key: &str) -> Result<bool, Error>;

    /// Notifies a topic after the commit. The transaction has begun.
    fn notify(&mut self, topic: String);

    /// Sends an event to the listeners of a channel after the commit. The
    /// transaction has begun.
    fn send_live(&mut self, event: LiveEvent) -> Result<(), Error>;

    /// Commits. When it returns without an error, everything is durable.
    async fn commit(self: Box<Self>) -> Result<(), Error>;

    /// Rolls back, and returns when the write lock is free.
    async fn rollback(self: Box<Self>);
}
