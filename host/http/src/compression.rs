//! Text answers in gzip, for clients that take it.
//!
//! The length of a compressed answer tells what repeats in it. If an answer has a secret
//! and words of somebody else, such lengths give the secret away (the attack BREACH). So
//! only answers that are the same for all visitors are compressed.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::body::{Body as _, Frame, SizeHint};
use std::{
    io::Write,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A shorter answer fits into one packet anyway.
const LEAST_BYTES: u64 = 1 << 10;
/// The answers that are compressed at the same time. Each takes about 0.4 MiB. Further
/// ones go out as they are.
static PLACES: Semaphore = Semaphore::const_new(64);
/// The bytes that are compressed before other tasks get their turn.
const TURN_BYTES: usize = 64 << 10;

const GZIP: HeaderValue = HeaderValue::from_static("gzip");
/// Headers of an answer that would be wrong afterwards, or that forbid the change.
static OF_ONE_FORM: [HeaderName; 6] = [
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::SET_COOKIE,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("content-md5"),
];

/// Compresses the answer if it is worth it, allowed, and wanted.
pub fn compress(request: &HeaderMap, response: &mut Response) {
    if !is_suitable(response) {
        return;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !accepts_gzip(request) {
        return;
    }
    let Ok(place) = PLACES.try_acquire() else { return };
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::ACCEPT_RANGES);
    headers.insert(header::CONTENT_ENCODING, GZIP);
    weaken_tag(headers);
    let body = mem::take(response.body_mut());
    *response.body_mut() = Body::new(Compressed::new(body, place));
}

/// Whether the answer is the same for all visitors, and a text of some length.
fn is_suitable(response: &Response) -> bool {
    let headers = response.headers();
    response.status() == StatusCode::OK
        && response.body().size_hint().exact().is_some_and(|bytes| bytes >= LEAST_BYTES)
        && !OF_ONE_FORM.iter().any(|name| headers.contains_key(name))
        && headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_text)
        && !elements(headers, &header::CACHE_CONTROL).any(forbids_compression)
}

fn forbids_compression(directive: &str) -> bool {
    let name = directive.split('=').next().unwrap_or_default().trim();
    ["no-transform", "private", "no-store"].iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.split_once('/') {
        // Its events must not wait for each other.
        Some(("text", "event-stream")) => false,
        Some(("text", _)) => true,
        Some(("application", "json" | "javascript" | "xml" | "manifest+json")) => true,
        Some((_, kind)) => kind.ends_with("+json") || kind.ends_with("+xml"),
        None => false,
    }
}

/// Whether the client gives gzip, or all encodings, a weight above 0, see RFC 9110,
/// section 12.5.3.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any) = (None, None);
    for element in elements(headers, &header::ACCEPT_ENCODING) {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let is_wanted = weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0));
        match name.as_str() {
            "gzip" | "x-gzip" => gzip = Some(is_wanted),
            "*" => any = Some(is_wanted),
            _ => {}
        }
    }
    gzip.or(any).unwrap_or(false)
}

/// The bytes are others than before, so the tag stands for the same content and not for
/// the same bytes, see RFC 9110, section 8.8.1.
fn weaken_tag(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/")) else { return };
    if let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
        headers.insert(header::ETAG, weak);
    }
}

fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// A body that is compressed piece by piece, as the client takes it.
struct Compressed {
    body: Body,
    /// The rest of a frame of the body. Its owner counts it until all of it is compressed.
    rest: Bytes,
    /// None after the end.
    encoder: Option<GzEncoder<Vec<u8>>>,
    _place: SemaphorePermit<'static>,
}

impl Compressed {
    fn new(body: Body, place: SemaphorePermit<'static>) -> Self {
        let encoder = GzEncoder::new(Vec::new(), Compression::fast());
        Self { body, rest: Bytes::new(), encoder: Some(encoder), _place: place }
    }
}

impl hyper::body::Body for Compressed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(encoder) = &mut this.encoder else { return Poll::Ready(None) };
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => this.rest = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    let end = this.encoder.take().map_or_else(|| Ok(Vec::new()), GzEncoder::finish);
                    return Poll::Ready(Some(end.map(|end| Frame::data(end.into())).map_err(axum::Error::new)));
                }
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(TURN_BYTES));
        if let Err(error) = encoder.write_all(&piece) {
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        }
        let ready = mem::take(encoder.get_mut());
        if ready.is_empty() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(ready.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn text() -> String {
        "the same line again and again\n".repeat(20_000)
    }

    fn answer(body: impl Into<Body>, headers: &[(&str, &str)]) -> Response {
        let mut response = http::Response::builder();
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(body.into()).unwrap()
    }

    fn accepting(encodings: &[&str]) -> HeaderMap {
        encodings.iter().map(|value| (header::ACCEPT_ENCODING, value.parse().unwrap())).collect()
    }

    /// Whether a client that takes gzip gets it, and `Vary`.
    fn outcome(mut response: Response) -> (bool, bool) {
        compress(&accepting(&["gzip"]), &mut response);
        let has = |name| response.headers().contains_key(name);
        (has(header::CONTENT_ENCODING), has(header::VARY))
    }

    #[tokio::test]
    async fn a_compressed_text_is_the_same_text() {
        let headers = [("content-type", "text/html; charset=utf-8"), ("etag", "\"1\""), ("content-length", "600000")];
        let mut response = answer(text(), &headers);
        compress(&accepting(&["br, gzip"]), &mut response);
        let headers = response.headers();
        assert_eq!((&headers["content-encoding"], &headers["vary"]), (&GZIP, &"Accept-Encoding".parse().unwrap()));
        assert_eq!((&headers["etag"], headers.contains_key("content-length")), (&"W/\"1\"".parse().unwrap(), false));
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let mut unpacked = String::new();
        GzDecoder::new(&bytes[..]).read_to_string(&mut unpacked).unwrap();
        assert!(unpacked == text() && bytes.len() < 20_000, "{} bytes", bytes.len());
    }

    #[test]
    fn only_long_texts_that_are_the_same_for_everybody_are_compressed() {
        let long = "x".repeat(1_024);
        let html = ("content-type", "text/html");
        for kind in
            ["text/css", "application/json", "TEXT/plain;charset=x", "image/svg+xml", "application/problem+json"]
        {
            assert_eq!(outcome(answer(long.clone(), &[("content-type", kind)])), (true, true), "{kind}");
        }
        for kind in ["image/png", "application/wasm", "text/event-stream", "application/octet-stream", "text", ""] {
            assert_eq!(outcome(answer(long.clone(), &[("content-type", kind)])), (false, false), "{kind}");
        }
        assert_eq!(outcome(answer(long.clone(), &[])), (false, false), "no type");
        assert_eq!(outcome(answer("x".repeat(1_023), &[html])), (false, false), "short");
        for (name, value) in [
            ("cache-control", "private, no-store"),
            ("cache-control", "max-age=1, Private"),
            ("cache-control", "no-store"),
            ("cache-control", "public, no-transform"),
            ("cache-control", "private=\"x-secret\""),
            ("set-cookie", "a=b"),
            ("content-encoding", "br"),
            ("content-range", "bytes 0-1023/2000"),
            ("content-digest", "sha-256=:a:"),
        ] {
            let (_, varies) = outcome(answer(long.clone(), &[html, (name, value)]));
            assert!(!varies, "{name}: {value}");
        }
        for value in ["no-cache", "public, max-age=31536000, immutable"] {
            assert_eq!(outcome(answer(long.clone(), &[html, ("cache-control", value)])), (true, true), "{value}");
        }
        let mut partial = answer(long, &[html]);
        *partial.status_mut() = StatusCode::PARTIAL_CONTENT;
        assert_eq!(outcome(partial), (false, false));
        let stream = Body::new(Compressed::new(Body::empty(), PLACES.try_acquire().unwrap()));
        assert_eq!(outcome(answer(stream, &[html])), (false, false), "of unknown length");
    }

    #[test]
    fn a_client_gets_gzip_only_if_it_takes_it() {
        for (encodings, expected) in [
            (&["gzip"][..], true),
            (&["deflate, GZIP;q=0.5"], true),
            (&["br", "gzip"], true),
            (&["*"], true),
            (&["x-gzip"], true),
            (&["gzip; q=1.000"], true),
            (&["gzip;q=0"], false),
            (&["*, gzip;q=0"], false),
            (&["*;q=0"], false),
            (&["gzip;q=nan"], false),
            (&["identity, br"], false),
            (&[""], false),
            (&[], false),
        ] {
            assert_eq!(accepts_gzip(&accepting(encodings)), expected, "{encodings:?}");
        }
    }
}
