//! `/live-events`: the events that are published from now on, with their payloads.
//! These may contain personal data, so only administrators of all plugins see
//! them, and the audit has each reader.

use super::{Operator, caller::Caller, input::Query, reading::Reading};
use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use host_api::{error::Envelope, events::PublishedEvent, tokens::Role};
use host_bus::{EventTail, TailedEvent, TailedItem};
use host_database::audit::{Entry, Outcome};
use host_http::error::{Problem, Refusal};
use serde::Deserialize;
use serde_json::json;
use std::{convert::Infallible, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

const ACTION: &str = "watch events";

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveQuery {
    /// Only events of this subject. Left out: all.
    subject: Option<String>,
}

/// One reader. Dropping it releases its permit.
struct Reader {
    tail: Box<dyn EventTail>,
    subject: Option<String>,
    reading: Reading,
    _permit: OwnedSemaphorePermit,
}

/// The events that any host publishes from now on, with their payloads. The data
/// of each server-sent event is one published event. A reader that is too slow gets
/// an event `lost` with the number of those that it has missed.
#[utoipa::path(get, path = "/live-events", operation_id = "watch_events", tag = "events and timers", params(LiveQuery), responses(
    (status = 200, body = PublishedEvent, content_type = "text/event-stream",
        example = "data: {\"id\":\"7\",\"subject\":\"thing.created\",\"source\":\"things\"}\n\n"),
    (status = 400, body = Envelope),
    (status = 403, body = Envelope),
    (status = 503, body = Envelope, description = "There are too many readers, or the bus does not answer"),
))]
pub(super) async fn watch(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Query(query): Query<LiveQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    operator.allow(&caller, Role::Admin, ACTION, None).await?;
    let permit = operator.log_streams.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
    let tail = operator.bus.tail().await.map_err(|error| {
        tracing::debug!(%error, "the events cannot be watched");
        Refusal::Unavailable
    })?;
    let entry = Entry { detail: query.subject.as_deref(), ..Entry::new(ACTION, Outcome::Done) };
    operator.record(&caller, &entry).await?;
    let reading = Reading::of(&operator, &caller);
    let reader = Reader { tail, subject: query.subject, reading, _permit: permit };
    let events = stream::unfold(reader, |mut reader| async move {
        let event = match reader.next().await? {
            TailedItem::Event(tailed) => Event::default().json_data(view(tailed)).unwrap_or_default(),
            TailedItem::Lost(events) => {
                Event::default().event("lost").data(json!({ "lost_events": events }).to_string())
            }
        };
        Some((Ok(event), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

impl Reader {
    /// The next item that the reader wants; none when the host stops or the token is
    /// revoked.
    async fn next(&mut self) -> Option<TailedItem> {
        loop {
            match (self.reading.wait(self.tail.next()).await, &self.subject) {
                (Some(TailedItem::Event(tailed)), Some(subject)) if tailed.event.subject != *subject => {}
                (item, _) => return item,
            }
        }
    }
}

fn view(TailedEvent { event, payload_bytes }: TailedEvent) -> PublishedEvent {
    let is_whole = event.payload.len() as u64 == payload_bytes;
    let payload = is_whole.then(|| serde_json::from_slice(&event.payload).ok()).flatten();
    PublishedEvent {
        payload_hex: payload.is_none().then(|| hex::encode(&event.payload)),
        payload,
        payload_bytes,
        id: event.id,
        subject: event.subject,
        source: event.source,
        time_ms: event.time_ms,
        traceparent: event.traceparent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_json_or_hexadecimal() {
        let of = |payload: &[u8], payload_bytes| {
            let event = event_with(payload);
            let seen = view(TailedEvent { event, payload_bytes });
            (seen.payload, seen.payload_hex, seen.payload_bytes)
        };
        assert_eq!(of(b"{\"a\":1}", 7), (Some(json!({ "a": 1 })), None, 7));
        assert_eq!(of(&[0, 255], 2), (None, Some("00ff".to_owned()), 2));
        assert_eq!(of(b"12", 900), (None, Some("3132".to_owned()), 900), "the rest is cut");
        assert_eq!(of(b"", 0), (None, Some(String::new()), 0));
    }

    fn event_with(payload: &[u8]) -> host_base::Event {
        host_base::Event {
            id: "e".to_owned(),
            subject: "a.made".to_owned(),
            source: "a".to_owned(),
            time_ms: 1,
            traceparent: None,
            payload: payload.to_vec(),
        }
    }
}
