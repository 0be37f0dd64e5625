//! The body of a request, within its limits on size and time.

use axum::body::{Body, HttpBody};
use host_http::{error::Refusal, host_name};
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// The largest part of a refused body that the host reads and discards.
const DISCARDED_BYTES: usize = 16 << 20;
/// The longest time for this.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// The whole body.
///
/// # Errors
/// The body is too large, too slow or broken.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limit_bytes: usize,
    limit_time: Duration,
) -> Result<Vec<u8>, Refusal> {
    if body.is_end_stream() {
        return Ok(Vec::new());
    }
    let read = match announced_bytes(headers).is_some_and(|bytes| bytes > limit_bytes as u64) {
        true => Err(Refusal::TooLarge),
        false => match tokio::time::timeout(limit_time, Limited::new(&mut body, limit_bytes).collect()).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
            Ok(Err(_)) => Err(Refusal::Malformed("The body cannot be read")),
            Err(_) => Err(Refusal::TooSlow),
        },
    };
    if read == Err(Refusal::TooLarge) {
        discard(headers, body).await;
    }
    read
}

/// The length of the body, as the client announces it.
pub(super) fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// Lets a client finish sending a refused body. A client that still sends when
/// the connection closes never reads the answer. A client that waits for `100 Continue`
/// has not begun to send, and a first look at the body would ask for it.
pub(super) async fn discard(headers: &HeaderMap, mut body: Body) {
    if announced_bytes(headers).is_some() && host_name::expects_continue(headers) {
        return;
    }
    let reading = async {
        let mut left = DISCARDED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, |data| data.len());
            let Some(rest) = left.checked_sub(bytes) else { return };
            left = rest;
        }
    };
    if tokio::time::timeout(DISCARD_TIMEOUT, reading).await.is_err() {
        tracing::debug!("a client did not send a refused body in time");
    }
}
