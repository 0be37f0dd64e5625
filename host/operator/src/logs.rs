//! `/plugins/{name}/logs`: the log of one plugin, for as long as somebody
//! reads it.

use super::{
    Operator,
    caller::{Caller, Role},
    plugins,
};
use axum::{
    extract::{Path, State},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use host_http::error::{Envelope, Problem, Refusal};
use host_telemetry::{LogTail, TailItem};
use std::{convert::Infallible, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

/// Readers at the same time, of all plugins together.
pub const MAX_LOG_STREAMS: usize = 32;

/// One reader. Its place is free again when it is dropped.
struct Reading {
    tail: LogTail,
    revoked: CancellationToken,
    stopping: CancellationToken,
    _place: OwnedSemaphorePermit,
}

/// What a plugin logs from now on, and its requests, as far as the filter of
/// the host's log lets it through. Each event's data is one line, an object in
/// JSON. A reader that is too slow gets an event `lost` with the number of
/// lines that it has missed.
#[utoipa::path(get, path = "/plugins/{name}/logs", operation_id = "follow_log", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = String, content_type = "text/event-stream",
        example = "data: {\"timestamp\":\"2030-01-01T00:00:00Z\",\"level\":\"INFO\",\"message\":\"hello\"}\n\n"),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
    (status = 503, body = Envelope, description = "There are too many readers"),
))]
pub(super) async fn follow(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    caller.require(Role::View, Some(&name))?;
    if operator.rollout.registry.snapshot().plugin(&name).is_none() {
        return Err(plugins::unknown(&name));
    }
    let place = operator.log_streams.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
    let reading = Reading {
        tail: LogTail::open(&name),
        revoked: caller.revoked,
        stopping: operator.stopping.clone(),
        _place: place,
    };
    let events = stream::unfold(reading, |mut reading| async move {
        let item = reading.next().await?;
        let event = Event::default().data(item.to_json());
        let event = match item {
            TailItem::Line(_) => event,
            TailItem::Lost(_) => event.event("lost"),
        };
        Some((Ok(event), reading))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

impl Reading {
    /// None when the host stops or the token is revoked.
    async fn next(&mut self) -> Option<TailItem> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => None,
            () = self.revoked.cancelled() => None,
            item = self.tail.next() => item,
        }
    }
}
