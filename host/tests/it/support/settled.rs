//! When nothing is under way any more: no event waits to be carried to the
//! bus, none to be applied, and no timer is due.

use super::{Host, Setup, eventually};

pub(crate) const COMPONENTS: [&str; 5] = ["auth", "expiration", "orders", "payments", "tickets"];

async fn due_timers(setup: &Setup) -> &'static str {
    if setup.database_url().await.is_some() {
        "SELECT count(*) FROM host_timers WHERE due_ms <= extract(epoch FROM clock_timestamp()) * 1000"
    } else {
        "SELECT count(*) FROM host_timers WHERE due_ms <= unixepoch('subsec') * 1000"
    }
}

impl Host {
    /// Waits until all events have been applied.
    pub(crate) async fn settles(&self) {
        let bus = self.look_at_bus().await;
        let mut outboxes = Vec::new();
        for component in COMPONENTS {
            outboxes.push(self.database(&format!("components/{component}.db")).await);
        }
        let due_timers = due_timers(&self.setup).await;
        let waiting = async || {
            let mut waiting = 0;
            // An event is on the bus before it leaves the outbox, and what it
            // causes is in an outbox before it leaves the bus.
            for _ in 0..2 {
                for outbox in &outboxes {
                    waiting += outbox.number("SELECT count(*) FROM host_outbox").await;
                    waiting += outbox.number(due_timers).await;
                }
                waiting += bus.deliveries().await;
            }
            waiting
        };
        eventually("every event is applied", waiting, |waiting| *waiting == 0).await;
    }

    /// What the operator is told that nobody can handle.
    pub(crate) async fn dead_letters(&self) -> Vec<serde_json::Value> {
        let reply = self.operator().get("/dead-letters").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json().as_array().unwrap().clone()
    }
}
