//! `/changes`: tells pages when to ask again. It carries no data.

use super::{Operator, caller::Caller, reading::Reading};
use axum::{
    extract::State,
    response::sse::{Event, Sse},
};
use futures::{FutureExt, Stream, stream};
use host_api::error::Envelope;
use host_http::error::{Problem, Refusal};
use host_plugin::Snapshot;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep},
};

/// The number of readers at the same time.
const MAX_READERS: usize = 64;
/// A change is told after this time at the latest.
const LOOK: Duration = Duration::from_millis(250);
/// Without a change, the figures are told to be old after this time.
const TICK: Duration = Duration::from_secs(15);

static READERS: Semaphore = Semaphore::const_new(MAX_READERS);

/// One reader. Dropping it releases its permit.
struct Reader {
    operator: Arc<Operator>,
    reading: Reading,
    seen: Arc<Snapshot>,
    told: Instant,
    _permit: SemaphorePermit<'static>,
}

/// An event each time that a plugin on this host changes, at the latest a quarter of
/// a second after the change, and one each 15 s. The data of an event is `changed` or
/// `tick`.
#[utoipa::path(get, path = "/changes", operation_id = "follow_changes", tag = "plugins", responses(
    (status = 200, body = String, content_type = "text/event-stream", example = "data: changed\n\n"),
    (status = 503, body = Envelope, description = "There are too many readers"),
))]
pub(super) async fn follow(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let permit = READERS.try_acquire().map_err(|_| Refusal::Busy)?;
    let seen = operator.rollout.registry.snapshot();
    let reading = Reading::of(&operator, &caller);
    let reader = Reader { operator, reading, seen, told: Instant::now(), _permit: permit };
    let events = stream::unfold(reader, |mut reader| async move {
        let word = reader.next().await?;
        Some((Ok(Event::default().data(word)), reader))
    });
    Ok(Sse::new(events))
}

impl Reader {
    /// Waits for the next word; none when the host stops or the token is revoked.
    async fn next(&mut self) -> Option<&'static str> {
        loop {
            self.reading.wait(sleep(LOOK).map(Some)).await?;
            let now = self.operator.rollout.registry.snapshot();
            let has_changed = !Arc::ptr_eq(&now, &self.seen);
            if has_changed || self.told.elapsed() >= TICK {
                self.seen = now;
                self.told = Instant::now();
                return Some(if has_changed { "changed" } else { "tick" });
            }
        }
    }
}
