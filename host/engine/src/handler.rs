//! The code that handles events and timers, as the workers see it that deliver
//! them.

use crate::outcome::Handled;
use async_trait::async_trait;
use host_artifact::Schedule;
use host_base::Event;
use host_store::{DueTimer, Transaction};
use std::sync::Arc;

/// The code of one revision that handles events and timers.
#[async_trait]
pub trait Handler: Send + Sync {
    /// The number of attempts after which an event or timer becomes a dead
    /// letter.
    fn delivery_attempts(&self) -> u32;

    /// The schedules of its manifest.
    fn schedules(&self) -> &[Schedule];

    /// Lets the component apply an event. The transaction begins with the mark
    /// that it was applied.
    async fn handle_event(&self, event: &Event, attempt: u32, transaction: Box<dyn Transaction>) -> Handled;

    /// Lets the component handle a timer. The transaction begins with its
    /// removal.
    async fn handle_timer(&self, timer: &DueTimer, transaction: Box<dyn Transaction>) -> Handled;
}

/// Finds the active code of a component.
pub trait Handlers: Send + Sync + 'static {
    /// The handler of a component's active revision. It is none while no
    /// revision may run; events and timers wait then.
    fn current(&self, component: &str) -> Option<Arc<dyn Handler>>;
}
