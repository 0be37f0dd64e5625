//! A look at the log, for the test of a plugin: what was published, and what waits.

use super::{super::BusError, EmbeddedBus};
use host_base::event::Event;
use std::time::Duration;

/// The most rows of one look.
const MAX_ROWS: i64 = 1_000;

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedEvent {
    /// Its position. Later events have higher ones.
    pub position: i64,
    /// The event.
    pub event: Event,
}

/// A delivery that the component has not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingDelivery {
    /// The subject of the event.
    pub subject: String,
    /// The time until the next attempt. Zero if it is due or in progress.
    pub due_in: Duration,
}

impl EmbeddedBus {
    /// The oldest events after this position of the log, at most 1,000.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn events_after(&self, position: i64) -> Result<Vec<PublishedEvent>, BusError> {
        type Row = (i64, String, String, String, i64, Option<String>, Vec<u8>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT sequence, id, subject, source, time_ms, traceparent, payload \
             FROM bus_events WHERE sequence > $1 ORDER BY sequence LIMIT $2",
        )
        .bind(position)
        .bind(MAX_ROWS)
        .fetch_all(&self.log.database.read)
        .await?;
        let event = |(position, id, subject, source, time_ms, traceparent, payload): Row| PublishedEvent {
            position,
            event: Event { id, subject, source, time_ms: time_ms.cast_unsigned(), traceparent, payload },
        };
        Ok(rows.into_iter().map(event).collect())
    }

    /// The deliveries that are not acknowledged, at most 1,000. Those that are due next come
    /// first.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn waiting_deliveries(&self) -> Result<Vec<WaitingDelivery>, BusError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT e.subject, d.not_before_ms FROM bus_deliveries d JOIN bus_events e ON e.sequence = d.event \
             ORDER BY d.not_before_ms, d.token LIMIT $1",
        )
        .bind(MAX_ROWS)
        .fetch_all(&self.log.database.read)
        .await?;
        let delivery =
            |(subject, at_ms): (String, i64)| WaitingDelivery { subject, due_in: self.log.time_until(at_ms) };
        Ok(rows.into_iter().map(delivery).collect())
    }
}
