//! The body of a request of HTTP/1.1, and the part of it that nobody wants.
//!
//! A client that still sends when the connection closes never reads its answer. So the
//! host reads what is left of a body after the answer and discards it, within limits.
//! HTTP/2 has a frame for this, and hyper sends it.

use crate::{connection::UnderWay, host_name};
use bytes::Bytes;
use http::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// The largest part of a body that the host discards.
const DISCARDED_BYTES: usize = 16 << 20;
/// The longest time for this.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// A body that leaves its rest to its [`Exchange`].
pub(super) struct RequestBody {
    /// None after the end.
    body: Option<Incoming>,
    /// Whether a client that waits for `100 Continue` has not been told to send. The first
    /// look at the body would tell it.
    is_held_back: bool,
    exchange: Arc<Exchange>,
}

/// A request under way. It ends when nobody holds the answer or the body any more.
pub(super) struct Exchange {
    /// The part of the body that nobody wants.
    rest: Mutex<Option<Incoming>>,
    under_way: Option<UnderWay>,
}

impl Exchange {
    /// Begins an exchange with this request.
    pub(super) fn begin(request: Request<Incoming>, under_way: UnderWay) -> (Arc<Self>, Request<RequestBody>) {
        let exchange = Arc::new(Self { rest: Mutex::default(), under_way: Some(under_way) });
        let is_held_back = host_name::expects_continue(request.headers());
        let request = request.map(|body| RequestBody { body: Some(body), is_held_back, exchange: exchange.clone() });
        (exchange, request)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !self.is_held_back && !body.is_end_stream());
        *self.exchange.rest.lock() = rest;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.get_mut().take() {
            discard(rest, self.under_way.take());
        }
    }
}

fn discard(mut body: Incoming, under_way: Option<UnderWay>) {
    let reading = async move {
        let mut left = DISCARDED_BYTES;
        while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(bytes) else { return };
            left = rest;
        }
    };
    // A connection may end after its runtime.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        let _under_way = under_way;
        if tokio::time::timeout(DISCARD_TIMEOUT, reading).await.is_err() {
            tracing::debug!("a client did not send the rest of a body in time");
        }
    });
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.is_held_back = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
