//! `platform:store`: a component's own database, and the transaction that
//! makes state, events and timers durable together.
//!
//! [`Database`] and [`Transaction`] are what an engine implements; `sqlite` is
//! the embedded one, `postgres` the one that several hosts share.

pub mod bindings;
mod commit_notifier;
#[cfg(test)]
mod conformance;
mod gate;
pub mod host;
mod lazy_transaction;
mod open;
pub mod postgres;
mod spans;
pub mod sqlite;

use async_trait::async_trait;
use std::sync::Arc;

pub use bindings::platform::store::sql::{ConstraintKind, Error, Rows, Timer, Value, Violation};

pub use commit_notifier::{OutboxSignal, Published, Signals, TimersSignal, Waiting};
pub use host::{StoreView, add_to_linker};
pub use lazy_transaction::{LazyTransaction, NotStarted};
pub use open::OpenTransaction;
pub use postgres::PostgresDatabases;
pub use spans::{Operation, Operations};
pub use sqlite::SqliteDatabases;

use host_base::Dialect;
use host_base::event::Event;
use host_config::{offer::Offer, plugins::Grant};
use host_sql::{Applied, Migration};

/// The interface of the store and the grant that it needs.
pub const OFFER: Offer = Offer { grant: Grant::Store, interfaces: &["platform:store/sql"] };

/// The databases of all components.
#[async_trait]
pub trait Databases: Send + Sync + 'static {
    /// The database of a component, always the same one. It is made if there
    /// is none yet.
    async fn open(&self, component: &str) -> Result<Arc<dyn Database>, Error>;

    /// Whether a component has a database. Makes none.
    async fn exists(&self, component: &str) -> Result<bool, Error>;

    /// Closes all of them, and opens none any more.
    async fn close(&self);
}

/// The database of one component. It lives as long as the component is loaded,
/// across revisions.
#[async_trait]
pub trait Database: Send + Sync + 'static {
    /// Applies the migrations that have not been applied, in order, each in a
    /// transaction of its own, and returns their names. One that was applied
    /// and has since changed is an error.
    async fn migrate(&self, migrations: &[Migration]) -> Result<Vec<String>, MigrationError>;

    /// The migrations that have been applied, whichever revision brought them,
    /// by their names.
    async fn applied(&self) -> Result<Vec<Applied>, Error>;

    /// Runs one reading statement on a snapshot of everything committed.
    async fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error>;

    /// Waits for its turn to write.
    async fn begin(&self) -> Result<Box<dyn Transaction>, Error>;

    /// Waits for its turn to write, and to do something once: that it was done
    /// is part of the transaction. None if there is nothing to do.
    async fn begin_once(&self, what: &Once) -> Result<Option<Box<dyn Transaction>>, Error>;

    /// The oldest events behind this sequence number that wait for the relay.
    async fn outbox(&self, after_sequence: i64, limit_rows: u32) -> Result<Vec<OutboxEvent>, Error>;

    /// Forgets outbox events up to and including this sequence number.
    async fn clear_outbox(&self, up_to_sequence: i64) -> Result<(), Error>;

    /// When the next timer is due, in milliseconds since the Unix epoch.
    async fn next_timer_ms(&self) -> Result<Option<u64>, Error>;

    /// Timers that are due at the given time, the longest overdue first, and
    /// the one that is due next.
    async fn upcoming_timers(&self, now_ms: u64, limit_rows: u32) -> Result<Vec<DueTimer>, Error>;

    /// Forgets inbox marks that were set before this time.
    async fn prune_inbox(&self, before_ms: u64) -> Result<u64, Error>;

    /// OpenTelemetry's name of the engine (`db.system.name`).
    fn system(&self) -> &'static str;

    /// What commits announce, so that nobody polls.
    fn signals(&self) -> &Arc<Signals>;

    /// Waits until this host is the one that does this for the component. Of
    /// those that share the database one does.
    async fn lead(&self, duty: LeaderRole) -> Result<Box<dyn Leadership>, Error>;

    /// Tells the host that does this for the component that there is something
    /// to do. Where one host has the database for itself, it knows.
    fn tell(&self, _duty: LeaderRole) {}

    /// Finishes what is under way and lets go of the database. Every later
    /// call fails.
    async fn close(&self);
}

/// What one host does for all that share a component's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeaderRole {
    /// To carry the events of the outbox to the bus.
    Outbox,
    /// To fire the timers that are due.
    Timers,
}

/// The right to a [`LeaderRole`] of a component's, until it is dropped or lost.
#[async_trait]
pub trait Leadership: Send {
    /// Waits until another host may have it: then it is given up.
    async fn lost(&mut self);
}

/// What a component does once.
#[derive(Debug, Clone)]
pub enum Once {
    /// To apply the event with this id.
    Event(String),
    /// To handle this attempt of this timer, unless it was replaced, cancelled
    /// or put off meanwhile.
    Timer(DueTimer),
}

/// A transaction of one component. Dropping it rolls it back.
#[async_trait]
pub trait Transaction: Send + 'static {
    /// Waits until it has begun, if it has not yet.
    async fn begin(&mut self) {}

    /// Runs one statement and gives its rows.
    async fn query(&mut self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error>;

    /// Runs one statement and says how many rows it changed.
    async fn execute(&mut self, statement: &str, parameters: Vec<Value>) -> Result<u64, Error>;

    /// Puts the event in the outbox.
    async fn publish(&mut self, event: &Event) -> Result<(), Error>;

    /// Sets a timer, replacing one with the same key.
    async fn schedule(&mut self, timer: &Timer, traceparent: Option<&str>) -> Result<(), Error>;

    /// Removes a timer. True if there was one.
    async fn cancel_timer(&mut self, key: &str) -> Result<bool, Error>;

    /// Puts a timer that was not handled off to another time and counts the
    /// attempt.
    async fn put_off_timer(&mut self, timer: &DueTimer, due_ms: u64) -> Result<(), Error>;

    /// When it returns without an error, everything is durable.
    async fn commit(self: Box<Self>) -> Result<(), Error>;

    /// Forgets everything, at once and not only when it is the turn of
    /// another.
    async fn rollback(self: Box<Self>);
}

/// A migration's statements for this engine, if the gate lets all of them through.
async fn permitted(migration: &Migration, dialect: Dialect) -> Result<Vec<String>, MigrationError> {
    let failed = |reason| MigrationError::Failed { name: migration.name.clone(), reason };
    let sql = migration.sql.clone();
    tokio::task::spawn_blocking(move || host_sql::permit_migration(dialect, &sql))
        .await
        .map_err(|_| failed("it cannot be parsed".to_owned()))?
        .map_err(failed)
}

/// Why a component's database could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// An applied migration is not the one that the component carries.
    #[error("migration {0} has changed since it was applied")]
    Changed(String),
    /// A statement is not allowed, or the database refused it.
    #[error("migration {name}: {reason}")]
    Failed {
        /// The migration's name.
        name: String,
        /// What the gate or the database said.
        reason: String,
    },
}

/// An event that was committed and waits for the relay.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct OutboxEvent {
    /// Ascending in the order of commits.
    pub sequence: i64,
    /// What is to be carried.
    pub event: Event,
}

/// A timer whose time has come.
#[derive(Debug, Clone)]
pub struct DueTimer {
    /// What was scheduled.
    pub timer: Timer,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Distinguishes this scheduling of the key from any other.
    pub generation: i64,
    /// The trace in which it was scheduled.
    pub traceparent: Option<String>,
}

/// What may be part of the name of a file, a schema or a role.
fn check_name(component: &str) -> Result<(), Error> {
    let harmless = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    if component.is_empty() || !component.bytes().all(harmless) {
        return Err(Error::Invalid(format!("{component} is not a component's name")));
    }
    Ok(())
}

/// An error in the words of an operator.
pub fn describe(error: &Error) -> String {
    match error {
        Error::Conflict => "another transaction was in the way".into(),
        Error::Timeout => "it took too long".into(),
        Error::Constraint(violation) => format!("the {:?} constraint {} refused it", violation.kind, violation.target),
        Error::Limit(text) | Error::Invalid(text) | Error::Unavailable(text) => text.clone(),
    }
}
