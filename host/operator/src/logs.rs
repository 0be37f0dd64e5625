//! `/plugins/{name}/logs`: the log of one plugin, as a stream.

use super::{Operator, caller::Caller, input::Query, log_filter::LogFilter, plugins};
use axum::{
    extract::{Path, State},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use host_api::{error::Envelope, tokens::Role};
use host_http::error::{Problem, Refusal};
use host_telemetry::{LogTail, TailItem};
use std::{convert::Infallible, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

/// The number of readers at the same time, for all plugins together.
pub const MAX_LOG_STREAMS: usize = 32;

/// One reader. Dropping it releases its permit.
struct LogReader {
    tail: LogTail,
    filter: LogFilter,
    revoked: CancellationToken,
    stopping: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

/// The lines that a plugin logs from now on, and its requests, if the filter of
/// the host's log lets them through. The data of each event is one line, a JSON
/// object. A reader that is too slow gets an event `lost` with the number of
/// lines that it has missed.
#[utoipa::path(get, path = "/plugins/{name}/logs", operation_id = "follow_log", tag = "plugins",
    params(("name" = String, Path), LogFilter), responses(
    (status = 200, body = String, content_type = "text/event-stream",
        example = "data: {\"timestamp\":\"2030-01-01T00:00:00Z\",\"level\":\"INFO\",\"message\":\"hello\"}\n\n"),
    (status = 400, body = Envelope),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
    (status = 503, body = Envelope, description = "There are too many readers"),
))]
pub(super) async fn follow(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(filter): Query<LogFilter>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    caller.require(Role::View, Some(&name))?;
    if operator.rollout.registry.snapshot().plugin(&name).is_none() {
        return Err(plugins::unknown(&name));
    }
    let permit = operator.log_streams.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
    let reader = LogReader {
        tail: LogTail::open(&name),
        filter: filter.in_small_letters(),
        revoked: caller.revoked,
        stopping: operator.stopping.clone(),
        _permit: permit,
    };
    let events = stream::unfold(reader, |mut reader| async move {
        let item = reader.next().await?;
        let event = Event::default().data(item.to_json());
        let event = match item {
            TailItem::Line(_) => event,
            TailItem::Lost(_) => event.event("lost"),
        };
        Some((Ok(event), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

impl LogReader {
    /// The next line that the reader wants; none when the host stops or the token is
    /// revoked.
    async fn next(&mut self) -> Option<TailItem> {
        loop {
            let item = tokio::select! {
                biased;
                () = self.stopping.cancelled() => None,
                () = self.revoked.cancelled() => None,
                item = self.tail.next() => item,
            };
            match item {
                Some(TailItem::Line(line)) if !self.filter.wants(&line) => {}
                item => return item,
            }
        }
    }
}
