//! An upload as a form. Each part has a limit, and so have the bytes between
//! parts. The parser of forms has no limit: it keeps everything until it has
//! found the end of a part's headers.

use super::{Operator, Parts, receive_on_disk, unreadable};
use axum::{
    body::{Body, BodyDataStream},
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request, multipart::MultipartError},
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use host_artifact::artifact::MAX_MANIFEST_BYTES;
use host_config::signature::MAX_SIGNATURE_BYTES;
use host_http::error::Problem;
use http::StatusCode;
use parking_lot::Mutex;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The most bytes before a part's content: its boundary and its headers.
const MAX_HEADER_BYTES: usize = 16 << 10;
/// The bytes that the parser is given at a time while it looks for the end of
/// the headers.
const PIECE_BYTES: usize = 4 << 10;
/// The bytes around all parts of a form.
const MAX_AROUND_BYTES: usize = 4 * MAX_HEADER_BYTES;

/// The parts of a form.
pub(super) async fn receive(operator: &Operator, request: Request) -> Result<Parts, Problem> {
    let limits = &operator.upload_limits;
    let meter = Meter::new(limits.max_bytes + MAX_MANIFEST_BYTES + MAX_SIGNATURE_BYTES + MAX_AROUND_BYTES);
    let broken = |error: MultipartError| {
        let too_large = meter.exceeded().map(|limit| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, limit.to_string()));
        too_large.unwrap_or_else(|| unreadable(format!("The form cannot be read: {}", error.body_text())))
    };
    let (head, body) = request.into_parts();
    let metered = Body::from_stream(MeteredBody::new(body.into_data_stream(), meter.clone()));
    let mut request = Request::from_parts(head, metered);
    // The meter limits the whole form.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|rejection| unreadable(format!("The form cannot be read: {}", rejection.body_text())))?;
    let mut parts = Parts::default();
    loop {
        meter.between_parts();
        let Some(field) = form.next_field().await.map_err(broken)? else { return Ok(parts) };
        meter.within_a_part();
        let name = field.name().unwrap_or_default().to_owned();
        let stream = field.map(|chunk| chunk.map_err(broken));
        let twice = match name.as_str() {
            "component" => {
                let bytes = receive_on_disk(operator.rollout.archive.folder(), limits, stream).await?;
                parts.component.replace(bytes).is_some()
            }
            "manifest" => parts.manifest.replace(text(stream, "manifest", MAX_MANIFEST_BYTES).await?).is_some(),
            "signature" => {
                let signature = text(stream, "signature", MAX_SIGNATURE_BYTES).await?;
                // A browser sends an empty part for a file that its user did not choose.
                !signature.is_empty() && parts.signature.replace(signature).is_some()
            }
            _ => return Err(unreadable("The form has a part that is not component, manifest or signature")),
        };
        if twice {
            return Err(unreadable(format!("The form has the part {name} twice")));
        }
    }
}

async fn text(
    mut stream: impl Stream<Item = Result<Bytes, Problem>> + Unpin,
    part: &str,
    max_bytes: usize,
) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > max_bytes {
            let message = format!("The part {part} is over {max_bytes} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
    }
    String::from_utf8(bytes).map_err(|_| unreadable(format!("The part {part} is not UTF-8")))
}

/// The limit of a form that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum LimitExceeded {
    #[error("The form has more than {MAX_HEADER_BYTES} bytes before the content of a part")]
    Headers,
    #[error("The form is over the limit of {0} bytes")]
    Whole(usize),
    /// No limit was passed. The client or the connection failed.
    #[error("The body cannot be read")]
    Broken,
}

/// Counts the bytes that the parser is given.
#[derive(Clone)]
struct Meter(Arc<Mutex<FormState>>);

struct FormState {
    max_bytes: usize,
    given_bytes: usize,
    /// Bytes since the parser began to look for the next part. None within a
    /// part.
    header_bytes: Option<usize>,
    exceeded: Option<LimitExceeded>,
}

impl Meter {
    fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(FormState { max_bytes, given_bytes: 0, header_bytes: Some(0), exceeded: None })))
    }

    fn between_parts(&self) {
        self.with(|state| state.header_bytes = Some(0));
    }

    fn within_a_part(&self) {
        self.with(|state| state.header_bytes = None);
    }

    fn exceeded(&self) -> Option<LimitExceeded> {
        self.with(|state| state.exceeded)
    }

    /// The number of these bytes that the parser may be given now.
    fn admit(&self, bytes: usize) -> Result<usize, LimitExceeded> {
        self.with(|state| {
            let bytes = match &mut state.header_bytes {
                Some(before) if *before >= MAX_HEADER_BYTES => {
                    return Err(*state.exceeded.insert(LimitExceeded::Headers));
                }
                Some(before) => {
                    let piece = bytes.min(PIECE_BYTES);
                    *before += piece;
                    piece
                }
                None => bytes,
            };
            state.given_bytes += bytes;
            if state.given_bytes > state.max_bytes {
                return Err(*state.exceeded.insert(LimitExceeded::Whole(state.max_bytes)));
            }
            Ok(bytes)
        })
    }

    fn with<T>(&self, action: impl FnOnce(&mut FormState) -> T) -> T {
        action(&mut self.0.lock())
    }
}

/// The body, one piece for each poll. The parser polls until no piece is ready,
/// and only then parses. So after each piece this stream answers once that no
/// piece is ready, and the parser's buffer stays small.
struct MeteredBody {
    body: BodyDataStream,
    meter: Meter,
    rest: Bytes,
    has_yielded: bool,
}

impl MeteredBody {
    fn new(body: BodyDataStream, meter: Meter) -> Self {
        Self { body, meter, rest: Bytes::new(), has_yielded: false }
    }
}

impl Stream for MeteredBody {
    type Item = Result<Bytes, LimitExceeded>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.has_yielded) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            match futures::ready!(self.body.poll_next_unpin(context)) {
                Some(Ok(chunk)) => self.rest = chunk,
                Some(Err(_)) => return Poll::Ready(Some(Err(LimitExceeded::Broken))),
                None => return Poll::Ready(None),
            }
        }
        self.has_yielded = true;
        let admitted = self.meter.admit(self.rest.len());
        Poll::Ready(Some(admitted.map(|bytes| self.rest.split_to(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_before_a_part_and_the_whole_form_are_bounded() {
        let meter = Meter::new(100_000);
        let given: usize = std::iter::from_fn(|| meter.admit(50_000).ok()).sum();
        assert_eq!((given, meter.exceeded()), (MAX_HEADER_BYTES, Some(LimitExceeded::Headers)));

        let meter = Meter::new(100_000);
        assert_eq!(meter.admit(100), Ok(100));
        meter.within_a_part();
        assert_eq!(meter.admit(50_000), Ok(50_000), "a part's content has a limit of its own");
        meter.between_parts();
        assert_eq!(meter.admit(50_000), Ok(PIECE_BYTES));
        meter.within_a_part();
        assert_eq!(meter.admit(50_000), Err(LimitExceeded::Whole(100_000)));
        assert_eq!(meter.exceeded(), Some(LimitExceeded::Whole(100_000)));
    }

    #[tokio::test]
    async fn the_parser_runs_after_every_piece() {
        let meter = Meter::new(100_000);
        let body = Body::from(vec![b'x'; 3 * PIECE_BYTES]).into_data_stream();
        let mut metered = MeteredBody::new(body, meter);
        let mut context = Context::from_waker(std::task::Waker::noop());
        for _ in 0..3 {
            let given = metered.poll_next_unpin(&mut context);
            assert!(matches!(&given, Poll::Ready(Some(Ok(piece))) if piece.len() == PIECE_BYTES), "{given:?}");
            assert!(metered.poll_next_unpin(&mut context).is_pending());
        }
        assert!(matches!(metered.poll_next_unpin(&mut context), Poll::Ready(None)));
    }
}
