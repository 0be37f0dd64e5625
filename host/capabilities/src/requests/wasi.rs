//! Requests of `wasi:http`, to another host or to another plugin. Both bodies of a
//! request to a plugin are buffered: the other plugin has its turn until its whole
//! answer is there, and then the caller takes its own turn again.

use super::{Error, TurnsAside, latest_end, message::MAX_BODY_BYTES, plugins};
use crate::{outbound::OutboundClient, plugin_calls::Origin};
use bytes::Bytes;
use futures::stream;
use host_base::byte_budget::HeldBytes;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::{Error as WasiError, RequestOptions, WasiBody};

/// Sends a request of an invocation, which gives its turns back while another plugin
/// answers.
///
/// # Errors
/// The error codes of `wasi:http`.
pub async fn send(
    client: OutboundClient,
    origin: Origin,
    turns: Option<Arc<dyn TurnsAside>>,
    request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, WasiError> {
    let Some(callee) = plugins::plugin_of(request.uri()).map_err(code)?.map(str::to_owned) else {
        return client.send(request, options, origin.traceparent.as_deref()).await;
    };
    let until = latest_end(Instant::now(), origin.deadline, options.first_byte_timeout);
    let origin = Origin { deadline: until.ok_or(WasiError::HttpResponseTimeout)?, ..origin };
    let aside = turns.filter(|turns| turns.give_back());
    let response = ask_plugin(&client, origin, callee, request).await;
    if let Some(turns) = aside {
        turns.take_again().await.map_err(|_| WasiError::HttpResponseTimeout)?;
    }
    response.map_err(code)
}

async fn ask_plugin(
    client: &OutboundClient,
    origin: Origin,
    callee: String,
    request: Request<WasiBody>,
) -> Result<Response<WasiBody>, Error> {
    let _slot = client.slot()?;
    let (until, mut held) = (origin.deadline, client.hold(0)?);
    let (parts, body) = request.into_parts();
    let body = timeout_at(until, plugins::read(body, MAX_BODY_BYTES, &mut held)).await.map_err(|_| Error::Timeout)?;
    let body = body.map_err(|error| Error::TooLarge(format!("the body of the request: {error}")))?;
    let (head, body) = plugins::call(client, origin, callee, parts, body).await?.into_parts();
    let body =
        timeout_at(until, plugins::read(body, MAX_BODY_BYTES, &mut held)).await.map_err(|_| Error::Timeout)??;
    held.shrink_to(body.len());
    Ok(Response::from_parts(head, counted(body, held)))
}

/// A body whose bytes count until the guest takes them.
fn counted(body: Vec<u8>, held: HeldBytes) -> WasiBody {
    let taken = async move {
        drop(held);
        Ok(Frame::data(Bytes::from(body)))
    };
    StreamBody::new(stream::once(taken)).boxed_unsync()
}

/// The error code that is nearest.
fn code(error: Error) -> WasiError {
    match error {
        Error::Denied(_) => WasiError::HttpRequestDenied,
        Error::Invalid(_) => WasiError::HttpRequestUriInvalid,
        Error::Timeout => WasiError::HttpResponseTimeout,
        Error::TooLarge(_) => WasiError::HttpRequestBodySize(None),
        Error::Busy(_) => WasiError::ConnectionLimitReached,
        Error::Unreachable(_) => WasiError::DestinationUnavailable,
        Error::TooDeep => WasiError::LoopDetected,
        Error::InTransaction => WasiError::InternalError(Some("a transaction is open".to_owned())),
    }
}
