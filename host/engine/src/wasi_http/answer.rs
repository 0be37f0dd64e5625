//! The bodies between a caller and a `wasi:http` guest, piece by piece and
//! within their limits.

use super::progress::Progress;
use crate::Failure;
use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Frame};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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
}

/// The caller's body for the guest. A body over the limit ends with an error.
pub(super) fn request_body(body: Body, limit_bytes: usize, too_large: Arc<AtomicBool>) -> WasiBody {
    Limited::new(body, limit_bytes)
        .map_err(move |error| {
            if error.is::<LengthLimitError>() {
                too_large.store(true, Ordering::Release);
                return Error::HttpRequestBodySize(Some(limit_bytes as u64));
            }
            Error::ConnectionTerminated
        })
        .boxed_unsync()
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
}

/// The error of a body that breaks off. The caller sees a closed connection.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(super) struct BrokenOff;

impl AnswerBody {
    /// The body of an answer. Nobody reads the body of a status without one.
    pub(super) fn of(
        answer: http::Response<WasiBody>,
        component: &str,
        limit_bytes: usize,
        progress: &Arc<Progress>,
    ) -> http::Response<Self> {
        let ended = matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let (component, progress) = (component.to_owned(), progress.clone());
        answer.map(|body| Self { body, component, limit_bytes, left_bytes: limit_bytes, ended, progress })
    }

    fn break_off(&self, problem: String) -> BrokenOff {
        self.progress.fail(Failure::Answer { component: self.component.clone(), problem });
        BrokenOff
    }

    fn accept(&mut self, frame: &Frame<Bytes>) -> Result<(), BrokenOff> {
        self.progress.step();
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        match self.left_bytes.checked_sub(bytes) {
            Some(left) => {
                self.left_bytes = left;
                Ok(())
            }
            None => Err(self.break_off(format!("a body over the limit of {} bytes", self.limit_bytes))),
        }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(self.accept(&frame).map(|()| frame)),
            Some(Err(error)) => Some(Err(self.break_off(format!("a body that breaks off: {error}")))),
            None if self.progress.is_cut_off() => Some(Err(BrokenOff)),
            None => {
                self.ended = true;
                self.progress.step();
                None
            }
        })
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
