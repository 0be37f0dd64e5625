//! The database of one component, and the databases of all.

use super::{ComponentSql, DiskUse, Error, Inbox, KeyedRequests, Leases, LiveLog, Migrations, Outbox, TimerQueue};
use async_trait::async_trait;
use std::sync::Arc;

/// The databases of all components.
#[async_trait]
pub trait Databases: Send + Sync + 'static {
    /// Opens the database of a component, and creates it if it does not exist.
    /// Every call for one component returns the same database.
    async fn open(&self, component: &str) -> Result<Arc<dyn Database>, Error>;

    /// Returns whether a component has a database. It creates none.
    async fn exists(&self, component: &str) -> Result<bool, Error>;

    /// Why the database of a component refuses all work, and the cure.
    fn problem(&self) -> Option<String> {
        None
    }

    /// Closes all databases. Later calls open none.
    async fn close(&self);
}

/// The database of one component. It stays open while the component is loaded,
/// across revisions.
///
/// `Arc<dyn Database>` coerces to an `Arc` of each narrow trait.
#[async_trait]
pub trait Database:
    ComponentSql + Migrations + Outbox + Inbox + KeyedRequests + TimerQueue + LiveLog + Leases + DiskUse
{
    /// Finishes the transactions that are committing and closes the database.
    /// Every later call fails.
    async fn close(&self);
}

/// Checks that a component's name can be part of the name of a file, a schema
/// and a role.
pub(crate) fn check_component_name(component: &str) -> Result<(), Error> {
    let is_allowed = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    if component.is_empty() || !component.bytes().all(is_allowed) {
        return Err(Error::Invalid(format!("{component} is not a component's name")));
    }
    Ok(())
}

/// The error of every call after the databases were closed.
pub(crate) fn shutting_down() -> Error {
    Error::Unavailable("the host is shutting down".into())
}
