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
        let over = meter.over().map(|over| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, over.to_string()));
        over.unwrap_or_else(|| unreadable(format!("The form cannot be read: {}", error.body_text())))
    };
    let (head, body) = request.into_parts();
    let metered = Body::from_stream(Metered::new(body.into_data_stream(), meter.clone()));
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
            "signature" => parts.signature.replace(text(stream, "signature", MAX_SIGNATURE_BYTES).await?).is_some(),
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
    most_bytes: usize,
) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > most_bytes {
            let message = format!("The part {part} is over {most_bytes} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
    }
    String::from_utf8(bytes).map_err(|_| unreadable(format!("The part {part} is not UTF-8")))
}

/// The limit of a form that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Over {
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
    most_bytes: usize,
    given_bytes: usize,
    /// Bytes since the parser began to look for the next part. None within a
    /// part.
    header_bytes: Option<usize>,
    over: Option<Over>,
}

impl Meter {
    fn new(most_bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(FormState { most_bytes, given_bytes: 0, header_bytes: Some(0), over: None })))
    }

    fn between_parts(&self) {
        self.counts(|counts| counts.header_bytes = Some(0));
    }

    fn within_a_part(&self) {
        self.counts(|counts| counts.header_bytes = None);
    }

    fn over(&self) -> Option<Over> {
        self.counts(|counts| counts.over)
    }

    /// The number of these bytes that the parser may be given now.
    fn admit(&self, bytes: usize) -> Result<usize, Over> {
        self.counts(|counts| {
            let bytes = match &mut counts.header_bytes {
                Some(before) if *before >= MAX_HEADER_BYTES => return Err(*counts.over.insert(Over::Headers)),
                Some(before) => {
                    let piece = bytes.min(PIECE_BYTES);
                    *before += piece;
                    piece
                }
                None => bytes,
            };
            counts.given_bytes += bytes;
            if counts.given_bytes > counts.most_bytes {
                return Err(*counts.over.insert(Over::Whole(counts.most_bytes)));
            }
            Ok(bytes)
        })
    }

    fn counts<T>(&self, with: impl FnOnce(&mut FormState) -> T) -> T {
        with(&mut self.0.lock())
    }
}

/// The body, one piece for each poll. The parser polls until no piece is ready,
/// and only then parses. So after each piece this stream answers once that no
/// piece is ready, and the parser's buffer stays small.
struct Metered {
    body: BodyDataStream,
    meter: Meter,
    rest: Bytes,
    just_gave: bool,
}

impl Metered {
    fn new(body: BodyDataStream, meter: Meter) -> Self {
        Self { body, meter, rest: Bytes::new(), just_gave: false }
    }
}

impl Stream for Metered {
    type Item = Result<Bytes, Over>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.just_gave) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            match futures::ready!(self.body.poll_next_unpin(context)) {
                Some(Ok(chunk)) => self.rest = chunk,
                Some(Err(_)) => return Poll::Ready(Some(Err(Over::Broken))),
                None => return Poll::Ready(None),
            }
        }
        self.just_gave = true;
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
        assert_eq!((given, meter.over()), (MAX_HEADER_BYTES, Some(Over::Headers)));

        let meter = Meter::new(100_000);
        assert_eq!(meter.admit(100), Ok(100));
        meter.within_a_part();
        assert_eq!(meter.admit(50_000), Ok(50_000), "a part's content has a limit of its own");
        meter.between_parts();
        assert_eq!(meter.admit(50_000), Ok(PIECE_BYTES));
        meter.within_a_part();
        assert_eq!(meter.admit(50_000), Err(Over::Whole(100_000)));
        assert_eq!(meter.over(), Some(Over::Whole(100_000)));
    }

    #[tokio::test]
    async fn the_parser_runs_after_every_piece() {
        let meter = Meter::new(100_000);
        let body = Body::from(vec![b'x'; 3 * PIECE_BYTES]).into_data_stream();
        let mut metered = Metered::new(body, meter);
        let mut context = Context::from_waker(std::task::Waker::noop());
        for _ in 0..3 {
            let given = metered.poll_next_unpin(&mut context);
            assert!(matches!(&given, Poll::Ready(Some(Ok(piece))) if piece.len() == PIECE_BYTES), "{given:?}");
            assert!(metered.poll_next_unpin(&mut context).is_pending());
        }
        assert!(matches!(metered.poll_next_unpin(&mut context), Poll::Ready(None)));
    }
}
