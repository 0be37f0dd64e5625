//! The bodies between a caller and a `wasi:http` guest, piece by piece and
//! within their limits.

use super::progress::{Progress, RequestState};
use crate::{ComponentContext, Failure};
use axum::body::Body;
use bytes::Bytes;
use host_base::{
    ByteBudget,
    byte_budget::{BudgetExceeded, HeldBytes},
};
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};
use wasmtime_wasi_http::{Error, WasiBody};

/// Observes a call. The host keeps it until the answer's body has ended and the
/// guest is done with it.
pub trait StreamObserver: Send + Sync + 'static {
    /// The call failed after its answer had begun, so nobody else reports the
    /// failure.
    fn broke_off(&self, failure: &Failure);

    /// The caller left before the end of the answer.
    fn abandoned(&self);

    /// The caller reads nothing. The work ends, though the caller still has the
    /// body.
    fn unread(&self);
}

/// The caller's body for the guest. A body over the limit ends with an error.
pub(super) fn request_body(body: Body, limit_bytes: usize, state: Arc<RequestState>) -> WasiBody {
    let too_large = state.clone();
    Limited::new(AwaitedBody { body, state }, limit_bytes)
        .map_err(move |error| {
            if error.is::<LengthLimitError>() {
                too_large.too_large.store(true, Ordering::Release);
                return Error::HttpRequestBodySize(Some(limit_bytes as u64));
            }
            Error::ConnectionTerminated
        })
        .boxed_unsync()
}

/// Notes whether the guest waits for the caller.
struct AwaitedBody {
    body: Body,
    state: Arc<RequestState>,
}

impl HttpBody for AwaitedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.state.awaited.store(frame.is_pending(), Ordering::Release);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The guest's body for the caller. It ends with an error unless the guest
/// completes it within the limit.
pub(super) struct AnswerBody {
    body: WasiBody,
    component: String,
    limit_bytes: usize,
    left_bytes: usize,
    ended: bool,
    progress: Arc<Progress>,
    /// Bounds the pieces that the caller has not taken yet.
    unsent: Arc<ByteBudget>,
}

/// A piece of the body with its share of the budget.
struct Piece {
    bytes: Bytes,
    _held: HeldBytes,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The error of a body that breaks off. The caller sees a closed connection.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(super) struct BrokenOff;

impl AnswerBody {
    /// The body of an answer. Nobody reads the body of a status without one.
    pub(super) fn of(
        answer: http::Response<WasiBody>,
        component: &ComponentContext,
        progress: &Arc<Progress>,
    ) -> http::Response<Self> {
        let ended = matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let (limit_bytes, unsent) = (component.limits.response_bytes, component.unsent.clone());
        let (component, progress) = (component.name.clone(), progress.clone());
        progress.set_unread(!ended);
        answer.map(|body| Self { body, component, limit_bytes, left_bytes: limit_bytes, ended, progress, unsent })
    }

    fn break_off(&self, problem: String) -> BrokenOff {
        self.progress.fail(Failure::Answer { component: self.component.clone(), problem });
        BrokenOff
    }

    /// Counts a piece until the caller has taken it.
    fn accept(&mut self, bytes: Bytes) -> Result<Frame<Bytes>, BrokenOff> {
        self.progress.step();
        let Some(left) = self.left_bytes.checked_sub(bytes.len()) else {
            return Err(self.break_off(format!("a body over the limit of {} bytes", self.limit_bytes)));
        };
        self.left_bytes = left;
        match self.unsent.hold(bytes.len()) {
            Ok(_held) => Ok(Frame::data(Bytes::from_owner(Piece { bytes, _held }))),
            Err(BudgetExceeded { limit, .. }) => {
                self.progress.fail(Failure::Unread { component: self.component.clone(), limit_bytes: limit });
                Err(BrokenOff)
            }
        }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => Some(self.accept(bytes)),
                // Trailers end the body. Nothing checks them, and nobody asks for them.
                Err(_) => self.end(),
            },
            Some(Err(error)) => Some(Err(self.break_off(format!("a body that breaks off: {error}")))),
            None if self.progress.is_cut_off() => Some(Err(BrokenOff)),
            None => self.end(),
        })
    }

    fn end<T>(&mut self) -> Option<T> {
        self.ended = true;
        self.progress.step();
        None
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let piece = self.poll_piece(context);
        self.progress.set_unread(matches!(piece, Poll::Ready(Some(_))));
        piece
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if self.progress.is_cut_off() {
            self.progress.abandon();
        } else if !self.ended {
            self.progress.leave();
        }
    }
}
