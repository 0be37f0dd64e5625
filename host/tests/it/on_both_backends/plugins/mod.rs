//! The life of a plugin on a running host: upload, verdict, swap, trial,
//! rollback, pause, removal, and the memory of all of them after a restart.

mod beginnings;
mod canary;
mod concurrency;
mod data;
mod event_schemas;
mod restart;
mod secrets;
mod settings;
mod swap;
mod upload;
mod upload_races;

use crate::support::{Client, Host, eventually};
use serde_json::{Value, json};

impl Client {
    /// Publishes an event and sets a timer.
    async fn cause(&self, id: &str) {
        let reply = self.post("/chameleon", json!({ "id": id })).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }

    async fn applied(&self) -> Vec<Value> {
        self.get("/chameleon/applied").await.json().as_array().unwrap().clone()
    }
}

/// Waits until the event and the timer of each id have been applied. Asserts that
/// each was applied once.
async fn all_applied(client: &Client, ids: &[String]) -> Vec<Value> {
    let applied = async || client.applied().await;
    let applied =
        eventually("all events and timers are applied", applied, |applied| applied.len() >= 2 * ids.len()).await;
    for id in ids {
        for kind in ["event", "timer"] {
            let of_id: Vec<_> = applied.iter().filter(|one| one["id"] == format!("{kind} {id}")).collect();
            assert!(matches!(of_id.as_slice(), [one] if one["times"] == 1), "{kind} {id}: {of_id:?}");
        }
    }
    assert_eq!(applied.len(), 2 * ids.len());
    applied
}

/// The entries of the audit log, the oldest first.
async fn audit(host: &Host) -> Vec<(String, String)> {
    let rows = host.operator().get("/audit?limit=1000").await.json();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    rows.as_array().unwrap().iter().rev().map(|row| (text(row, "action"), text(row, "outcome"))).collect()
}
