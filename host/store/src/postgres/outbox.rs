//! A transaction's events, put in the outbox as the last thing before its
//! commit.

use super::{
    super::{OutboxEvent, Published},
    clamp,
    errors::Failure,
};
use host_base::event::Event;
use sqlx::PgConnection;

const APPEND: &str = "SELECT after, sequences FROM ticketing_host.store_append($1, $2, $3, $4, $5, $6, $7)";

/// What is to be put in the outbox: at least one event.
pub(super) struct Append {
    secret: String,
    events: Vec<Event>,
}

impl Append {
    /// None if there are no events.
    pub(super) fn new(secret: &str, events: Vec<Event>) -> Option<Self> {
        (!events.is_empty()).then(|| Self { secret: secret.to_owned(), events })
    }

    /// Puts them there, in their order.
    pub(super) async fn run(self, connection: &mut PgConnection) -> Result<Published, Failure> {
        let texts = |of: fn(&Event) -> &str| self.events.iter().map(of).collect::<Vec<_>>();
        let (after, sequences): (Option<i64>, Vec<i64>) = sqlx::query_as(APPEND)
            .bind(&self.secret)
            .bind(texts(|event| &event.id))
            .bind(texts(|event| &event.subject))
            .bind(texts(|event| &event.source))
            .bind(self.events.iter().map(|event| clamp(event.time_ms)).collect::<Vec<_>>())
            .bind(self.events.iter().map(|event| event.traceparent.as_deref()).collect::<Vec<_>>())
            .bind(self.events.iter().map(|event| event.payload.as_slice()).collect::<Vec<_>>())
            .fetch_one(connection)
            .await?;
        let events = sequences.into_iter().zip(self.events);
        Ok(Published { after, events: events.map(|(sequence, event)| OutboxEvent { sequence, event }).collect() })
    }
}
