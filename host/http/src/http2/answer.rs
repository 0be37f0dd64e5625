//! An answer that goes out in pieces, so that the host sees whether its client takes it.

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use std::{
    any::Any,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::{sync::Notify, time::timeout};

/// A piece is one frame of HTTP/2.
const PIECE_BYTES: usize = 16 << 10;

/// The answer of one stream, with the number of its pieces that are on their way.
pub(crate) struct Answer {
    has_place: bool,
    is_given: AtomicBool,
    /// The pieces that hyper has and the socket has not.
    pieces: AtomicUsize,
    /// Dropped as soon as the socket has the head and the first piece.
    held: Mutex<Vec<Box<dyn Any + Send>>>,
    changed: Notify,
    /// Of the body, which ends after its last piece has gone.
    waker: Mutex<Option<Waker>>,
}

impl Answer {
    pub(crate) fn new(has_place: bool) -> Self {
        Self {
            has_place,
            is_given: AtomicBool::new(false),
            pieces: AtomicUsize::new(0),
            held: Mutex::default(),
            changed: Notify::new(),
            waker: Mutex::new(None),
        }
    }

    /// Whether the stream is one of those that the listener has places for.
    pub(crate) fn has_place(&self) -> bool {
        self.has_place
    }

    /// Whether the host has answered.
    pub(crate) fn is_given(&self) -> bool {
        self.is_given.load(Ordering::Acquire)
    }

    /// Keeps a value until the socket has the head of the answer.
    pub(crate) fn hold(&self, value: impl Any + Send) {
        self.held.lock().push(Box::new(value));
    }

    /// Waits until the client has taken no piece for this time.
    pub(crate) async fn stalled(&self, patience: Duration) {
        loop {
            while !self.has_pieces() {
                self.changed.notified().await;
            }
            if timeout(patience, self.changed.notified()).await.is_err() && self.has_pieces() {
                return;
            }
        }
    }

    /// Waits for the client to take the rest. False if it takes nothing for this time.
    pub(crate) async fn is_taken_within(&self, patience: Duration) -> bool {
        while self.has_pieces() {
            if timeout(patience, self.changed.notified()).await.is_err() {
                return !self.has_pieces();
            }
        }
        true
    }

    fn has_pieces(&self) -> bool {
        self.pieces.load(Ordering::Acquire) > 0
    }

    fn poll_taken(&self, context: &mut Context<'_>) -> Poll<()> {
        *self.waker.lock() = Some(context.waker().clone());
        if self.has_pieces() { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// A part of an answer until the socket has taken it.
struct Piece {
    bytes: Bytes,
    answer: Arc<Answer>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.answer.held.lock().clear();
        let last = self.answer.pieces.fetch_sub(1, Ordering::AcqRel) == 1;
        self.answer.changed.notify_one();
        if let Some(waker) = last.then(|| self.answer.waker.lock().take()).flatten() {
            waker.wake();
        }
    }
}

/// The body of an answer, in pieces.
pub(crate) struct PacedBody {
    body: Body,
    /// The rest of a frame of the body.
    rest: Bytes,
    trailers: Option<HeaderMap>,
    answer: Arc<Answer>,
    /// Whether an answer without a body has a piece all the same. It leaves after the
    /// head, and so shows that the head has left.
    needs_piece: bool,
    has_begun: bool,
    has_many_pieces: bool,
    has_ended: bool,
}

impl PacedBody {
    pub(crate) fn new(body: Body, answer: Arc<Answer>) -> Self {
        answer.is_given.store(true, Ordering::Release);
        let needs_piece = !answer.held.lock().is_empty();
        let (has_begun, has_many_pieces, has_ended) = (false, false, false);
        Self { body, rest: Bytes::new(), trailers: None, answer, needs_piece, has_begun, has_many_pieces, has_ended }
    }

    fn owes_piece(&self) -> bool {
        self.needs_piece && !self.has_begun
    }

    fn piece(&mut self) -> Bytes {
        let bytes = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        self.has_many_pieces |= self.has_begun || !self.rest.is_empty();
        self.has_begun = true;
        self.answer.pieces.fetch_add(1, Ordering::AcqRel);
        self.answer.changed.notify_one();
        Bytes::from_owner(Piece { bytes, answer: self.answer.clone() })
    }
}

impl hyper::body::Body for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        while this.rest.is_empty() && !this.has_ended {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => (this.trailers, this.has_ended) = (other.into_trailers().ok(), true),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => this.has_ended = true,
            }
        }
        if !this.rest.is_empty() || this.owes_piece() {
            return Poll::Ready(Some(Ok(Frame::data(this.piece()))));
        }
        // The end of a long answer waits until the client has taken the rest,
        // because nobody can reset a stream that has ended.
        ready!(this.answer.poll_taken(context));
        Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        let has_ended = self.has_ended || self.body.is_end_stream();
        has_ended && self.rest.is_empty() && self.trailers.is_none() && !self.has_many_pieces && !self.owes_piece()
    }

    fn size_hint(&self) -> SizeHint {
        if self.owes_piece() && self.body.is_end_stream() {
            // A length would be one of an answer with a body.
            return SizeHint::default();
        }
        let (rest, of_body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower() + rest);
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Body as _;
    use std::{collections::VecDeque, future::poll_fn};

    const PATIENCE: Duration = Duration::from_millis(300);

    struct Frames(VecDeque<Frame<Bytes>>);

    impl hyper::body::Body for Frames {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    async fn next(body: &mut PacedBody) -> Option<Bytes> {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.map(|frame| frame.unwrap().into_data().unwrap())
    }

    #[tokio::test]
    async fn a_short_answer_is_one_piece_and_ends_at_once() {
        let answer = Arc::new(Answer::new(true));
        let mut body = PacedBody::new(Body::from("hello"), answer.clone());
        assert_eq!(body.size_hint().exact(), Some(5));
        let piece = next(&mut body).await.unwrap();
        assert!(body.is_end_stream());
        drop(body);
        assert!(!answer.is_taken_within(PATIENCE).await, "the client has not taken the piece");
        drop(piece);
        assert!(answer.is_taken_within(PATIENCE).await);
    }

    #[tokio::test]
    async fn the_head_of_an_answer_is_held_until_its_own_first_piece_has_gone() {
        for (content, bytes) in [("", 0), ("hello", 5)] {
            let (of_head, answer) = (Arc::new(()), Arc::new(Answer::new(true)));
            let other = Arc::new(Answer::new(true));
            answer.hold(of_head.clone());
            let mut body = PacedBody::new(Body::from(content), answer);
            assert!(!body.is_end_stream());
            drop(next(&mut PacedBody::new(Body::from("of another stream"), other)).await);
            let piece = next(&mut body).await.unwrap();
            assert_eq!((piece.len(), body.is_end_stream()), (bytes, true), "{content:?}");
            assert_eq!(Arc::strong_count(&of_head), 2, "{content:?}");
            drop(piece);
            assert_eq!(Arc::strong_count(&of_head), 1, "{content:?}");
        }
        let body = PacedBody::new(Body::empty(), Arc::new(Answer::new(true)));
        assert!(body.is_end_stream(), "nothing is held, and the head is all");
    }

    #[tokio::test]
    async fn trailers_come_after_the_client_has_taken_the_body() {
        let trailers = HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("x"))]);
        let frames = [Frame::data(Bytes::from("hello")), Frame::trailers(trailers.clone())];
        let mut body = PacedBody::new(Body::new(Frames(frames.into())), Arc::new(Answer::new(true)));
        let piece = next(&mut body).await.unwrap();
        let mut last = std::pin::pin!(poll_fn(|context| Pin::new(&mut body).poll_frame(context)));
        assert!(timeout(PATIENCE, last.as_mut()).await.is_err());
        drop(piece);
        assert_eq!(last.await.unwrap().unwrap().into_trailers().unwrap(), trailers);
    }

    #[tokio::test]
    async fn a_long_answer_ends_after_the_client_has_taken_it() {
        let answer = Arc::new(Answer::new(true));
        let mut body = PacedBody::new(Body::from(vec![1; PIECE_BYTES + 10]), answer.clone());
        let first = next(&mut body).await.unwrap();
        assert_eq!((first.len(), body.size_hint().exact()), (PIECE_BYTES, Some(10)));
        let second = next(&mut body).await.unwrap();
        assert!(!body.is_end_stream(), "the client has not taken the pieces");
        drop(first);
        assert!(timeout(PATIENCE, next(&mut body)).await.is_err());
        drop(second);
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn an_answer_stalls_while_its_client_takes_nothing_and_not_while_its_source_waits() {
        let answer = Arc::new(Answer::new(true));
        let mut body = PacedBody::new(Body::from(vec![1; 8 * PIECE_BYTES]), answer.clone());
        assert!(timeout(PATIENCE * 3, answer.stalled(PATIENCE)).await.is_err(), "nothing is on its way");
        let mut pieces = vec![next(&mut body).await.unwrap(), next(&mut body).await.unwrap()];
        let slow = async {
            for _ in 0..3 {
                tokio::time::sleep(PATIENCE / 2).await;
                pieces.pop();
                pieces.push(next(&mut body).await.unwrap());
            }
        };
        tokio::select! {
            () = answer.stalled(PATIENCE) => panic!("the client takes its answer slowly"),
            () = slow => {}
        }
        assert!(timeout(PATIENCE * 90, answer.stalled(PATIENCE)).await.is_ok());
    }
}
