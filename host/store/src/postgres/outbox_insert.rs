//! The last statement of a transaction before its commit: it adds the events to
//! the outbox.

use super::errors::Failure;
use crate::{OutboxBatch, OutboxEvent, values::signed};
use host_base::event::Event;
use sqlx::PgConnection;

const APPEND: &str = "SELECT after, sequences FROM ticketing_host.store_append($1, $2, $3, $4, $5, $6, $7)";

/// At least one event to add to the outbox.
pub(super) struct OutboxInsert {
    secret: String,
    events: Vec<Event>,
}

impl OutboxInsert {
    /// Returns none if there are no events.
    pub(super) fn new(secret: &str, events: Vec<Event>) -> Option<Self> {
        (!events.is_empty()).then(|| Self { secret: secret.to_owned(), events })
    }

    /// Adds the events in their sequence.
    pub(super) async fn run(self, connection: &mut PgConnection) -> Result<OutboxBatch, Failure> {
        let texts = |of: fn(&Event) -> &str| self.events.iter().map(of).collect::<Vec<_>>();
        let (after, sequences): (Option<i64>, Vec<i64>) = sqlx::query_as(APPEND)
            .bind(&self.secret)
            .bind(texts(|event| &event.id))
            .bind(texts(|event| &event.subject))
            .bind(texts(|event| &event.source))
            .bind(self.events.iter().map(|event| signed(event.time_ms)).collect::<Vec<_>>())
            .bind(self.events.iter().map(|event| event.traceparent.as_deref()).collect::<Vec<_>>())
            .bind(self.events.iter().map(|event| event.payload.as_slice()).collect::<Vec<_>>())
            .fetch_one(connection)
            .await?;
        let events = sequences.into_iter().zip(self.events);
        Ok(OutboxBatch { after, events: events.map(|(sequence, event)| OutboxEvent { sequence, event }).collect() })
    }
}
