//! Requests of `wasi:http` components to other hosts. The operator grants the
//! destinations, and the host connects only to an address that it has checked.
//!
//! - The host and port of a request must be one of the granted destinations.
//! - The host resolves a granted name once for each connection and connects to
//!   the resolved addresses. It refuses a name that resolves to an address
//!   outside the public internet. The owner of a name therefore cannot direct a
//!   component into the host's own network.
//! - A component reaches a private address only when the grant is that address
//!   itself.
//! - The host follows no redirect. The component gets the redirect, and the host
//!   checks the next request like any other.

mod destination;
mod dns;
mod public_address;
mod request_span;

pub use destination::Destination;
pub use dns::{NameResolver, SystemResolver};

use bytes::Bytes;
use destination::Refusal;
use dns::{DnsError, PublicResolver};
use futures::{Stream, TryStreamExt, stream};
use host_config::{offer::Offer, plugins::Grant};
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Body as _, Frame};
use request_span::RequestSpan;
use reqwest::{RequestBuilder, Url};
use std::{error::Error as StdError, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// The interfaces for outgoing requests, of both versions of `wasi:http`.
pub const OFFER: Offer = Offer { grant: Grant::Http, interfaces: &["wasi:http/outgoing-handler", "wasi:http/client"] };

/// The size limit of a body, in both directions.
const MAX_BODY_BYTES: usize = 16 << 20;
/// How many requests of one revision can be open. A request is open until its
/// response has ended.
const MAX_REQUESTS: usize = 32;
/// The time limit for making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection stays open for another request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The HTTP client that all `wasi:http` components share.
pub struct Outbound {
    client: reqwest::Client,
}

impl Outbound {
    /// Creates the client with a resolver for host names.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(resolver: Arc<dyn NameResolver>) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .dns_resolver(Arc::new(PublicResolver(resolver)))
            .build()?;
        Ok(Self { client })
    }

    /// Creates the client of one component. `hosts` are the granted
    /// destinations, as `host:port`. `wall_time_ms` limits each wait for the
    /// other host.
    pub fn client_for(self: &Arc<Self>, component: &str, hosts: &[String], wall_time_ms: u64) -> OutboundClient {
        let granted = hosts.iter().filter_map(|host| {
            host.parse::<Destination>()
                .inspect_err(|problem| tracing::warn!(component, host, %problem, "granted host is not valid"))
                .ok()
        });
        OutboundClient {
            outbound: self.clone(),
            component: component.into(),
            granted: granted.collect(),
            slots: Arc::new(Semaphore::new(MAX_REQUESTS)),
            wall_time: Duration::from_millis(wall_time_ms),
        }
    }
}

/// The client of one component, with its granted destinations.
#[derive(Clone)]
pub struct OutboundClient {
    outbound: Arc<Outbound>,
    component: Arc<str>,
    granted: Arc<[Destination]>,
    slots: Arc<Semaphore>,
    wall_time: Duration,
}

impl OutboundClient {
    /// Sends a request if its destination is granted. Returns the head of the
    /// response; the body follows as a stream.
    ///
    /// # Errors
    /// The error codes of `wasi:http`: the request is denied, its destination
    /// is prohibited, a limit is reached, or the connection failed.
    pub async fn send(
        &self,
        request: Request<WasiBody>,
        options: RequestOptions,
        traceparent: Option<&str>,
    ) -> Result<Response<WasiBody>, Error> {
        let url = self.check(&request)?;
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| Error::ConnectionLimitReached)?;
        let mut span = RequestSpan::begin(&self.component, traceparent, request.method(), &url);
        let outgoing = self.outgoing(request, url, &span);
        let head = match timeout(self.within_wall_time(options.first_byte_timeout), outgoing.send()).await {
            Ok(head) => head.map_err(|error| self.error_code(&error)),
            Err(_) => Err(Error::HttpResponseTimeout),
        };
        let answer = span.end(head)?;
        if answer.content_length().is_some_and(|bytes| bytes > MAX_BODY_BYTES as u64) {
            return Err(Error::HttpResponseBodySize(answer.content_length()));
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        let chunks = chunks(answer, self.within_wall_time(options.between_bytes_timeout), slot);
        let mut response = Response::new(StreamBody::new(chunks.map_ok(Frame::data)).boxed_unsync());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    fn check(&self, request: &Request<WasiBody>) -> Result<Url, Error> {
        destination::check(request.method(), request.uri(), &self.granted).map_err(|refusal| {
            let (component, uri) = (&*self.component, request.uri());
            tracing::info!(component, %uri, %refusal, "outgoing request is refused");
            match refusal {
                Refusal::NotGranted(_) => Error::HttpRequestDenied,
                Refusal::Malformed(_) => Error::HttpRequestUriInvalid,
            }
        })
    }

    fn outgoing(&self, request: Request<WasiBody>, url: Url, span: &RequestSpan) -> RequestBuilder {
        let (mut parts, body) = request.into_parts();
        span.propagate(&mut parts.headers);
        let outgoing = self.outbound.client.request(parts.method, url).headers(allowed_headers(parts.headers));
        if body.is_end_stream() {
            return outgoing;
        }
        outgoing.body(reqwest::Body::wrap_stream(Limited::new(body, MAX_BODY_BYTES).into_data_stream()))
    }

    /// A guest can shorten a time limit. It cannot extend one.
    fn within_wall_time(&self, wanted: Option<Duration>) -> Duration {
        wanted.map_or(self.wall_time, |wanted| wanted.min(self.wall_time))
    }

    fn error_code(&self, error: &reqwest::Error) -> Error {
        let mut source: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<DnsError>() {
                tracing::info!(component = %self.component, %error, "outgoing request is refused");
                return match error {
                    DnsError::Prohibited { .. } => Error::DestinationIpProhibited,
                    DnsError::Unknown { .. } => Error::DnsError { rcode: None, info_code: None },
                };
            }
            source = error.source();
        }
        match error {
            _ if error.is_connect() && error.is_timeout() => Error::ConnectionTimeout,
            _ if error.is_connect() => Error::ConnectionRefused,
            _ if error.is_body() => Error::HttpRequestBodySize(None),
            _ => Error::HttpProtocolError,
        }
    }
}

/// Removes the headers that belong to the host: those that name the
/// destination, and those of the connection.
fn allowed_headers(mut headers: HeaderMap) -> HeaderMap {
    for name in &wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS {
        headers.remove(name);
    }
    headers.remove(header::TE);
    headers
}

/// The body as a stream, within the limits on its size and on the wait for each
/// chunk. The slot is free again when the stream ends or is dropped.
fn chunks(
    answer: reqwest::Response,
    chunk_timeout: Duration,
    slot: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    stream::try_unfold((answer, MAX_BODY_BYTES, slot), move |(mut answer, left, slot)| async move {
        let chunk = timeout(chunk_timeout, answer.chunk()).await.map_err(|_| Error::ConnectionReadTimeout)?;
        let Some(chunk) = chunk.map_err(|_| Error::HttpResponseIncomplete)? else { return Ok(None) };
        let left = left.checked_sub(chunk.len()).ok_or(Error::HttpResponseBodySize(None))?;
        Ok(Some((chunk, (answer, left, slot))))
    })
}

#[cfg(test)]
mod tests;
