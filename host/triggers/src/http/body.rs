//! The body of a request, within its limits on size and time.

use axum::body::{Body, HttpBody};
use host_http::error::Refusal;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// The whole body.
///
/// # Errors
/// The body is too large, too slow or broken.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit_bytes: usize,
    limit_time: Duration,
) -> Result<Vec<u8>, Refusal> {
    if body.is_end_stream() {
        return Ok(Vec::new());
    }
    match announced_bytes(headers).is_some_and(|bytes| bytes > limit_bytes as u64) {
        true => Err(Refusal::TooLarge),
        false => match Box::pin(tokio::time::timeout(limit_time, Limited::new(body, limit_bytes).collect())).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
            Ok(Err(_)) => Err(Refusal::Malformed("The body cannot be read")),
            Err(_) => Err(Refusal::TooSlow),
        },
    }
}

/// The length of the body, as the client announces it.
pub(super) fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}
