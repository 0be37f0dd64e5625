//! One held connection: the body of its answer, as a stream.

use super::{
    feed::Feed,
    places::TakenPlace,
    ring::{Next, Start},
    sse,
};
use axum::{
    Error,
    body::{Body, BodyDataStream},
};
use bytes::Bytes;
use futures::{Stream, task::AtomicWaker};
use host_http::error::Refusal;
use std::{
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

/// The shortest and the longest time between two signs of life, in milliseconds.
/// The times differ, so that connections which began together do not stay together.
const KEEP_ALIVE_MS: Range<u64> = 15_000..25_000;
/// How long a connection is held, in seconds. Then the client comes back, and the
/// component decides anew whether it may listen.
const HELD_SECONDS: Range<u64> = 3_600..4_200;
/// How long a client waits before it comes back, in milliseconds.
const RETRY_MS: Range<u64> = 1_000..5_000;

/// A client that listens to channels of one component.
pub(super) struct Listener {
    feed: Arc<Feed>,
    id: u64,
    channels: Arc<[Arc<str>]>,
    /// The number of the last event that the client has, or that is for others.
    after: u64,
    waker: Arc<AtomicWaker>,
    opening: Bytes,
    _place: TakenPlace,
}

impl Listener {
    /// Begins to listen.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) async fn join(
        feed: Arc<Feed>,
        channels: Arc<[Arc<str>]>,
        start: Start,
        place: TakenPlace,
    ) -> Result<Self, Refusal> {
        let waker = Arc::new(AtomicWaker::new());
        let (id, began) = feed.join(start, &channels, &waker).await?;
        feed.listeners.increment(1.0);
        let opening = sse::opening(rand::random_range(RETRY_MS), began.after, began.is_reset);
        Ok(Self { feed, id, channels, after: began.after, waker, opening, _place: place })
    }

    /// The body of the answer: that of the component, and then the events.
    pub(super) fn body(self, own: Body) -> Body {
        Body::from_stream(HeldBody {
            own: Some(own.into_data_stream()),
            listener: self,
            ends: Instant::now() + Duration::from_secs(rand::random_range(HELD_SECONDS)),
            keep_alive: Box::pin(sleep(keep_alive_time())),
        })
    }

    fn next(&self) -> Next {
        self.feed.ring.lock().next(&self.channels, self.after)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.feed.ring.lock().leave(self.id, &self.channels);
        self.feed.listeners.decrement(1.0);
    }
}

/// The body of a held answer.
struct HeldBody {
    /// None after its end.
    own: Option<BodyDataStream>,
    listener: Listener,
    ends: Instant,
    keep_alive: Pin<Box<Sleep>>,
}

impl HeldBody {
    /// The next event, or a sign of life.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let listener = &mut self.listener;
        listener.waker.register(context.waker());
        match listener.next() {
            Next::Event(sequence, text) => {
                listener.after = sequence;
                Poll::Ready(Some(text))
            }
            Next::Nothing(last) => {
                listener.after = last;
                ready!(self.keep_alive.as_mut().poll(context));
                if Instant::now() >= self.ends {
                    return Poll::Ready(None);
                }
                self.keep_alive.as_mut().reset(Instant::now() + keep_alive_time());
                Poll::Ready(Some(sse::keep_alive(last)))
            }
            Next::Lost => {
                listener.feed.disconnected.increment(1);
                let component = listener.feed.component.as_str();
                tracing::debug!(component, "a client that does not read its live events is disconnected");
                Poll::Ready(None)
            }
            Next::End => Poll::Ready(None),
        }
    }
}

impl Stream for HeldBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(own) = &mut this.own {
            match ready!(Pin::new(own).poll_next(context)) {
                Some(piece) => return Poll::Ready(Some(piece)),
                // The call of the component is over.
                None => this.own = None,
            }
        }
        if !this.listener.opening.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut this.listener.opening))));
        }
        this.poll_event(context).map(|text| text.map(Ok))
    }
}

fn keep_alive_time() -> Duration {
    Duration::from_millis(rand::random_range(KEEP_ALIVE_MS))
}
