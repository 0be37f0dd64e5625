//! A revision as the workers see it that deliver events and timers.

use super::revision::Revision;
use async_trait::async_trait;
use host_artifact::Schedule;
use host_base::Event;
use host_engine::{Handled, Outcome, Patience, handler::Handler};
use host_store::{DueTimer, Transaction};
use std::{sync::Arc, time::Instant};

/// A revision that serves.
pub(super) struct Active(pub(super) Arc<Revision>);

#[async_trait]
impl Handler for Active {
    fn delivery_attempts(&self) -> u32 {
        self.0.manifest.limits.delivery_attempts
    }

    fn schedules(&self) -> &[Schedule] {
        &self.0.manifest.schedules
    }

    async fn handle_event(&self, event: &Event, attempt: u32, transaction: Box<dyn Transaction>) -> Handled {
        if !self.0.subscribes(&event.subject) {
            // The subscriptions have just changed, or an operator has removed
            // this one while events were on their way.
            let reason = format!("revision {} does not subscribe to {}", self.0.id, event.subject);
            return Err(Outcome::retry(reason));
        }
        self.0.figures().deliveries.record(Instant::now(), &event.subject);
        self.0.begin(Patience::Worker).apply(event, attempt, transaction).await
    }

    async fn handle_timer(&self, timer: &DueTimer, transaction: Box<dyn Transaction>) -> Handled {
        self.0.begin(Patience::Worker).fire(timer, transaction).await
    }
}
