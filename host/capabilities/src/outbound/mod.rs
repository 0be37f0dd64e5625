//! Requests of components to other hosts: only where the operator allows, and
//! only to the address that was checked.
//!
//! A request names a destination, and that has to be among those granted, port
//! included. A granted name is resolved once for each connection, by the host,
//! and the connection goes to what came of that; a name that leads anywhere
//! but into the public internet is refused, so no owner of a name can point a
//! component at the host's own network. An address that is not public can only
//! be reached when the grant is that address itself. Redirects are not
//! followed: the component sees them, and what it asks next is checked again.

mod address;
mod destination;
mod names;
mod span;

pub use destination::Destination;
pub use names::{Names, SystemNames};

use bytes::Bytes;
use destination::Refused;
use futures::{Stream, TryStreamExt, stream};
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Body as _, Frame};
use names::{NameError, PublicNames};
use span::Asking;
use std::{error::Error as StdError, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// A body to or from another host.
const MAX_BODY_BYTES: usize = 16 << 20;
/// Requests of one revision at the same time, until their answers have ended.
const MAX_REQUESTS: usize = 32;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection waits for another request.
const IDLE: Duration = Duration::from_secs(15);

/// The one way out.
pub struct Outbound {
    client: reqwest::Client,
}

impl Outbound {
    /// A way out that finds names this way.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(names: Arc<dyn Names>) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .dns_resolver(Arc::new(PublicNames(names)))
            .build()?;
        Ok(Self { client })
    }

    /// The way out for one component, to these `host:port`.
    pub fn caller(self: &Arc<Self>, component: &str, hosts: &[String], patience_ms: u64) -> Caller {
        let granted = hosts.iter().filter_map(|host| {
            host.parse::<Destination>()
                .inspect_err(|problem| tracing::warn!(component, host, %problem, "a granted host is not valid"))
                .ok()
        });
        Caller {
            outbound: self.clone(),
            component: component.into(),
            granted: granted.collect(),
            slots: Arc::new(Semaphore::new(MAX_REQUESTS)),
            patience: Duration::from_millis(patience_ms),
        }
    }
}

/// What one component may reach.
#[derive(Clone)]
pub struct Caller {
    outbound: Arc<Outbound>,
    component: Arc<str>,
    granted: Arc<[Destination]>,
    slots: Arc<Semaphore>,
    patience: Duration,
}

impl Caller {
    /// Sends a request, if it may be sent, and gives the head of the answer;
    /// its body comes as it arrives.
    ///
    /// # Errors
    /// In the words of `wasi:http`: denied, prohibited, or what went wrong.
    pub async fn send(
        &self,
        request: Request<WasiBody>,
        options: RequestOptions,
        traceparent: Option<&str>,
    ) -> Result<Response<WasiBody>, Error> {
        let url = destination::check(request.method(), request.uri(), &self.granted).map_err(|refused| {
            tracing::info!(component = %self.component, uri = %request.uri(), %refused, "a request to another host is refused");
            match refused {
                Refused::NotGranted(_) => Error::HttpRequestDenied,
                Refused::Malformed(_) => Error::HttpRequestUriInvalid,
            }
        })?;
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| Error::ConnectionLimitReached)?;
        let (mut parts, body) = request.into_parts();
        let mut asking = Asking::begin(&self.component, traceparent, &parts.method, &url);
        asking.hand_on(&mut parts.headers);
        let mut asked = self.outbound.client.request(parts.method, url).headers(passed_on(parts.headers));
        if !body.is_end_stream() {
            let limited = Limited::new(body, MAX_BODY_BYTES).into_data_stream();
            asked = asked.body(reqwest::Body::wrap_stream(limited));
        }
        let head = match timeout(self.within(options.first_byte_timeout), asked.send()).await {
            Ok(head) => head.map_err(|error| self.cause(&error)),
            Err(_) => Err(Error::HttpResponseTimeout),
        };
        let answer = asking.end(head)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if answer.content_length().is_some_and(|bytes| bytes > MAX_BODY_BYTES as u64) {
            return Err(Error::HttpResponseBodySize(answer.content_length()));
        }
        let pieces = pieces(answer, self.within(options.between_bytes_timeout), slot);
        let mut response = Response::new(StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// A guest may be less patient than its limits, not more.
    fn within(&self, wanted: Option<Duration>) -> Duration {
        wanted.map_or(self.patience, |wanted| wanted.min(self.patience))
    }

    fn cause(&self, error: &reqwest::Error) -> Error {
        let mut source: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<NameError>() {
                tracing::info!(component = %self.component, %error, "a request to another host is refused");
                return match error {
                    NameError::Prohibited { .. } => Error::DestinationIpProhibited,
                    NameError::Unknown { .. } => Error::DnsError { rcode: None, info_code: None },
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

/// What is the host's own business stays out: where the request goes, and the
/// connection.
fn passed_on(mut headers: HeaderMap) -> HeaderMap {
    for name in &wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS {
        headers.remove(name);
    }
    headers.remove(header::TE);
    headers
}

/// The body as it arrives, within its limits.
fn pieces(
    answer: reqwest::Response,
    patience: Duration,
    slot: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    stream::try_unfold((answer, MAX_BODY_BYTES, slot), move |(mut answer, left, slot)| async move {
        let piece = timeout(patience, answer.chunk()).await.map_err(|_| Error::ConnectionReadTimeout)?;
        let Some(piece) = piece.map_err(|_| Error::HttpResponseIncomplete)? else { return Ok(None) };
        let left = left.checked_sub(piece.len()).ok_or(Error::HttpResponseBodySize(None))?;
        Ok(Some((piece, (answer, left, slot))))
    })
}

#[cfg(test)]
mod tests;
