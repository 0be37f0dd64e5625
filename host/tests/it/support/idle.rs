//! When a host has no work left: no event waits in an outbox or on the bus, and
//! no timer is due.

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
    /// Waits until all events have been applied and no timer is due.
    pub(crate) async fn settles(&self) {
        let bus = self.look_at_bus().await;
        let mut outboxes = Vec::new();
        for component in COMPONENTS {
            outboxes.push(self.database(&format!("components/{component}.db")).await);
        }
        let due_timers = due_timers(&self.setup).await;
        let waiting = async || {
            let mut waiting = 0;
            // An event reaches the bus before it leaves the outbox. Events that
            // its handler publishes reach the outbox before it leaves the bus.
            // Two looks at both therefore miss none.
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

    /// The events and timers that no attempt could handle, as an operator sees
    /// them.
    pub(crate) async fn dead_letters(&self) -> Vec<serde_json::Value> {
        let operator = self.operator();
        let reply = operator.get("/dead-letters").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let mut letters = Vec::new();
        for letter in reply.json().as_array().unwrap() {
            let id = letter["id"].as_str().unwrap();
            let reply = operator.get(&format!("/dead-letters/{id}")).await;
            // Somebody may have sent it again in the meantime.
            if reply.status == 200 {
                letters.push(reply.json());
            }
        }
        letters
    }
}
