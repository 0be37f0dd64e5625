//! What a rollout asks of those who deliver events and timers.

use async_trait::async_trait;
use host_bus::{BusError, Subjects};
use host_store::Database;
use std::{collections::BTreeSet, sync::Arc};

/// Delivers events and timers to components.
#[async_trait]
pub trait Subscriptions: Send + Sync + 'static {
    /// Delivers the events of these subjects, and the component's timers. For
    /// a component that is known already this changes the subjects alone.
    ///
    /// # Errors
    /// When the bus cannot be reached; then nothing has changed.
    async fn watch(&self, component: &str, database: Arc<dyn Database>, subjects: Subjects) -> Result<(), BusError>;

    /// Delivers nothing any more to a component.
    ///
    /// # Errors
    /// When the bus cannot be reached; then it would still be sent events.
    async fn unwatch(&self, component: &str) -> Result<(), BusError>;

    /// Says which subjects other hosts take for a component.
    async fn leave_to_others(&self, component: &str, subjects: BTreeSet<String>);
}
