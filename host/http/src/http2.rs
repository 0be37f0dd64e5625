//! HTTP/2: the limits that `h2` and hyper do not have.
//!
//! A client can close the window of one stream and go on with the others, so the limit
//! of the socket does not notice an answer that nobody takes. The host sends each answer
//! in pieces and resets its stream if the client takes none for a while.

mod answer;
pub(crate) mod frames;

pub(crate) use answer::{Answer, PacedBody};

use crate::connection::{Connection, UnderWay};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests of one connection at a time.
pub(super) const CONCURRENT_STREAMS: u32 = 100;
/// The bytes of a body that a client may send before the host reads them: in one
/// stream, and in one connection.
pub(super) const STREAM_WINDOW_BYTES: u32 = 64 << 10;
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
/// The bytes of one answer that hyper queues.
pub(super) const QUEUED_BYTES: usize = 64 << 10;
/// The streams that a client may reset before hyper has seen them, and those that it may
/// make the host reset.
pub(super) const PENDING_RESETS: usize = 20;
pub(super) const OWN_RESETS: usize = 100;

tokio::task_local! {
    static ANSWER: Arc<Answer>;
}

/// Runs the streams of one connection.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) connection: Arc<Connection>,
    /// The places of all streams of the listener.
    pub(super) places: Arc<Semaphore>,
    pub(super) write_timeout: Duration,
}

/// The answer of the stream that runs now, and whether the stream has a place.
pub(super) fn current() -> Arc<Answer> {
    ANSWER.try_with(Clone::clone).unwrap_or_else(|_| Arc::new(Answer::new(true)))
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let place = self.places.clone().try_acquire_owned().ok();
        let answer = Arc::new(Answer::new(place.is_some()));
        let under_way = self.connection.begin_request();
        tokio::spawn(self.clone().run(ANSWER.scope(answer.clone(), stream), answer, (under_way, place)));
    }
}

impl Streams {
    /// Runs a stream until the client has taken its answer, and keeps its place until then.
    async fn run(
        self,
        stream: impl Future<Output = ()>,
        answer: Arc<Answer>,
        _held: (UnderWay, Option<OwnedSemaphorePermit>),
    ) {
        let is_stalled = tokio::select! {
            biased;
            () = stream => false,
            // The end of the future resets the stream.
            () = answer.stalled(self.write_timeout) => true,
        };
        self.connection.count_reset(!answer.is_given());
        if is_stalled {
            tracing::debug!("a client takes no bytes of an answer, and the host resets its stream");
        } else if !answer.is_taken_within(self.write_timeout).await {
            // The stream is no longer the host's to reset.
            self.connection.give_up();
        }
    }
}
