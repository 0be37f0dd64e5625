//! How much of the host's database the events and dead letters of one component
//! may occupy.
//!
//! The log keeps events after their delivery, for subscribers to come. A
//! component with more than its room loses its oldest ones that nobody waits for.
//! If all of its events are waited for, the bus takes no more of them, and they
//! stay in the component's outbox.

use super::BusError;
use host_base::Event;
use parking_lot::Mutex;
use sqlx::{Any, Transaction};
use std::collections::{BTreeMap, HashMap};

/// The bytes that a row occupies beside its payload, about.
const ROW_BYTES: u64 = 300;
/// Rows that are deleted at once.
const MAX_PORTION: i64 = 1_000;

/// The room of each component.
pub(super) struct Room {
    max_bytes: u64,
    /// Bytes of each source since they were last counted in the database.
    added: Mutex<HashMap<String, u64>>,
    dead_letters: Mutex<HashMap<String, u64>>,
    /// The components whose last event found no room, with the reason.
    full: Mutex<BTreeMap<String, String>>,
}

impl Room {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, added: Mutex::default(), dead_letters: Mutex::default(), full: Mutex::default() }
    }

    /// Makes room after these events were added, in the same transaction.
    ///
    /// # Errors
    /// Too many events of one component are waited for.
    pub(super) async fn make(&self, transaction: &mut Transaction<'_, Any>, events: &[Event]) -> Result<(), BusError> {
        let mut added: HashMap<&str, u64> = HashMap::new();
        for event in events {
            *added.entry(&event.source).or_default() += bytes(event.payload.len() as u64);
        }
        for (source, bytes) in added {
            let since_counted = self.added.lock().get(source).copied().unwrap_or_default() + bytes;
            // Counting reads the whole log, so it is done seldom.
            if since_counted < self.max_bytes / 4 {
                self.added.lock().insert(source.to_owned(), since_counted);
                continue;
            }
            if let Err(error) = self.trim(transaction, source).await {
                self.full.lock().insert(source.to_owned(), error.0.clone());
                return Err(error);
            }
            self.full.lock().remove(source);
            self.added.lock().insert(source.to_owned(), 0);
        }
        Ok(())
    }

    async fn trim(&self, transaction: &mut Transaction<'_, Any>, source: &str) -> Result<(), BusError> {
        let (rows, payloads): (i64, i64) = sqlx::query_as(
            "SELECT count(*), CAST(coalesce(sum(length(payload)), 0) AS BIGINT) FROM bus_events WHERE source = $1",
        )
        .bind(source)
        .fetch_one(&mut **transaction)
        .await?;
        let mut occupied = payloads.cast_unsigned() + rows.cast_unsigned() * ROW_BYTES;
        // A quarter stays free until the next count.
        let allowed = self.max_bytes - self.max_bytes / 4;
        let average = (occupied / rows.cast_unsigned().max(1)).max(1);
        while occupied > allowed {
            // No more than needed, if the rows are of about the same size.
            let needed = (occupied - allowed).div_ceil(average);
            let portion = i64::try_from(needed).unwrap_or(MAX_PORTION).min(MAX_PORTION);
            let deleted: Vec<i64> = sqlx::query_scalar(
                "DELETE FROM bus_events WHERE sequence IN (SELECT sequence FROM bus_events \
                 WHERE source = $1 AND sequence NOT IN (SELECT event FROM bus_deliveries) ORDER BY sequence LIMIT $2) \
                 RETURNING CAST(length(payload) AS BIGINT)",
            )
            .bind(source)
            .bind(portion)
            .fetch_all(&mut **transaction)
            .await?;
            if deleted.is_empty() {
                let mib = self.max_bytes >> 20;
                return Err(BusError(format!("more than {mib} MiB of events of {source} wait for their subscribers")));
            }
            let freed: u64 = deleted.iter().map(|payload| bytes(payload.cast_unsigned())).sum();
            occupied = occupied.saturating_sub(freed);
        }
        Ok(())
    }

    /// The reasons why the bus takes no more events of some components.
    pub(super) fn problems(&self) -> Vec<String> {
        self.full.lock().values().cloned().collect()
    }

    /// Sets the largest number of dead letters of a component.
    pub(super) fn set_dead_letters(&self, component: &str, most: u64) {
        self.dead_letters.lock().insert(component.to_owned(), most);
    }

    /// The largest number of dead letters of a component.
    pub(super) fn dead_letters(&self, component: &str) -> Option<u64> {
        self.dead_letters.lock().get(component).copied()
    }
}

fn bytes(payload: u64) -> u64 {
    payload + ROW_BYTES
}
