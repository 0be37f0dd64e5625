//! `/plugins/{name}/logs`: the log of one plugin, as a stream.

use super::{Operator, caller::Caller, input::Query, log_filter::LogFilter, plugins, reading::Reading};
use axum::{
    extract::{Path, State},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use host_api::{error::Envelope, tokens::Role};
use host_http::error::{Problem, Refusal};
use host_telemetry::{LogTail, TailItem};
use std::{collections::VecDeque, convert::Infallible, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;

/// The number of readers at the same time, for all plugins together.
pub const MAX_LOG_STREAMS: usize = 32;

/// One reader. Dropping it releases its permit.
struct LogReader {
    /// The lines from before, which come first.
    kept: VecDeque<Arc<str>>,
    /// None if only those are wanted.
    tail: Option<LogTail>,
    filter: LogFilter,
    reading: Reading,
    _permit: OwnedSemaphorePermit,
}

/// The lines that the host has kept of a plugin, and those that the plugin logs
/// from now on with its requests, if the filter of the host's log lets them
/// through. The host keeps up to 500 lines and 128 KiB of each plugin, until it
/// ends, and no line about a request. The data of each event is one line, a JSON
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
    if !plugins::exists(&operator, &name).await? {
        return Err(plugins::unknown(&name));
    }
    let permit = operator.log_streams.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
    let filter = filter.in_small_letters();
    let mut tail = LogTail::open(&name, filter.since_ms.unwrap_or(0));
    let kept = filter.kept(tail.take_kept())?;
    let reader = LogReader {
        kept,
        tail: filter.follow.unwrap_or(true).then_some(tail),
        filter,
        reading: Reading::of(&operator, &caller),
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
    /// The next line that the reader wants; none when the host stops, the token is
    /// revoked, or the reader wants no more.
    async fn next(&mut self) -> Option<TailItem> {
        if let Some(line) = self.kept.pop_front() {
            return Some(TailItem::Line(line));
        }
        let tail = self.tail.as_mut()?;
        loop {
            match self.reading.wait(tail.next()).await {
                Some(TailItem::Line(line)) if !self.filter.wants(&line) => {}
                item => return item,
            }
        }
    }
}
