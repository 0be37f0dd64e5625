//! Requests of components to other hosts. The operator grants the destinations,
//! and the host connects only to an address that it has checked.
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
//!
//! [`crate::requests`] sends the requests of both interfaces: those of `wasi:http`
//! with streamed bodies, those of the platform with buffered ones. Both pass the
//! same check.

mod destination;
mod dns;
mod public_address;
mod request_span;
mod send_error;

pub use destination::Destination;
pub use dns::{NameResolver, SystemResolver};
pub(crate) use send_error::SendError;

use crate::plugin_calls::{CallablePlugins, PluginCaller};
use bytes::Bytes;
use dns::PublicResolver;
use futures::{Stream, TryStreamExt, stream};
use host_base::{
    ByteBudget, SharedByName,
    byte_budget::{BudgetExceeded, HeldBytes},
};
use host_config::{offer::Offer, plugins::Grant};
use http::{HeaderMap, Request, Response, header, request::Parts};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Body as _, Frame};
use request_span::RequestSpan;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// The interfaces for outgoing requests, of both versions of `wasi:http`.
pub const OFFER: Offer = Offer { grant: Grant::Http, interfaces: &["wasi:http/outgoing-handler", "wasi:http/client"] };

/// The size limit of a streamed body, in both directions.
const MAX_BODY_BYTES: usize = 16 << 20;
/// How many requests of one plugin can be open. A request is open until its
/// response has ended.
const MAX_REQUESTS: usize = 32;
/// The memory of the buffered bodies of one plugin, and of all plugins.
const PLUGIN_BODY_BYTES: usize = 32 << 20;
const HOST_BODY_BYTES: usize = 128 << 20;
/// The time limit for making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection stays open for another request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The HTTP client that all components share.
pub struct Outbound {
    resolver: Arc<dyn NameResolver>,
    /// Created for the first plugin with a granted destination.
    http: OnceLock<reqwest::Client>,
    memory: Arc<ByteBudget>,
    shares: SharedByName<Share>,
    plugins: Arc<OnceLock<Arc<dyn PluginCaller>>>,
}

/// The bounds on the requests of one plugin, in all its revisions.
struct Share {
    slots: Arc<Semaphore>,
    memory: Arc<ByteBudget>,
}

impl Outbound {
    /// Requests with a resolver for host names.
    pub fn new(resolver: Arc<dyn NameResolver>) -> Arc<Self> {
        Arc::new(Self {
            resolver,
            http: OnceLock::new(),
            memory: ByteBudget::new(HOST_BODY_BYTES),
            shares: SharedByName::default(),
            plugins: Arc::default(),
        })
    }

    /// Sets what calls plugins, once. The registry of plugins exists later than this
    /// value, because each plugin has a client.
    pub fn call_plugins_with(&self, plugins: Arc<dyn PluginCaller>) {
        let _ = self.plugins.set(plugins);
    }

    /// Creates the client of one component. `hosts` are the granted
    /// destinations, as `host:port`. `wall_time_ms` limits each wait for the
    /// other host.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn client_for(&self, component: &str, hosts: &[String], wall_time_ms: u64) -> reqwest::Result<OutboundClient> {
        let granted = hosts.iter().filter_map(|host| {
            host.parse::<Destination>()
                .inspect_err(|problem| tracing::warn!(component, host, %problem, "granted host is not valid"))
                .ok()
        });
        let granted: Arc<[Destination]> = granted.collect();
        let http = if granted.is_empty() { None } else { Some(self.http()?) };
        Ok(OutboundClient {
            http,
            component: component.into(),
            granted,
            share: self.share(component),
            wall_time: Duration::from_millis(wall_time_ms),
            callable: Arc::default(),
            plugins: self.plugins.clone(),
        })
    }

    fn http(&self) -> reqwest::Result<reqwest::Client> {
        if let Some(http) = self.http.get() {
            return Ok(http.clone());
        }
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .dns_resolver(Arc::new(PublicResolver(self.resolver.clone())))
            .build()?;
        Ok(self.http.get_or_init(|| http).clone())
    }

    fn share(&self, component: &str) -> Arc<Share> {
        self.shares.get_or_make(component, || {
            let memory = ByteBudget::part_of(&self.memory, PLUGIN_BODY_BYTES);
            Arc::new(Share { slots: Arc::new(Semaphore::new(MAX_REQUESTS)), memory })
        })
    }
}

/// The client of one component, with its granted destinations.
#[derive(Clone)]
pub struct OutboundClient {
    /// None if no destination is granted.
    http: Option<reqwest::Client>,
    component: Arc<str>,
    granted: Arc<[Destination]>,
    share: Arc<Share>,
    wall_time: Duration,
    callable: Arc<CallablePlugins>,
    plugins: Arc<OnceLock<Arc<dyn PluginCaller>>>,
}

/// A response whose body has not arrived yet.
pub(crate) struct OpenResponse {
    pub(crate) response: reqwest::Response,
    slot: OwnedSemaphorePermit,
}

impl OutboundClient {
    /// The same client, which may also call these plugins.
    #[must_use]
    pub fn calling(self, plugins: CallablePlugins) -> Self {
        Self { callable: Arc::new(plugins), ..self }
    }

    pub(crate) fn component(&self) -> &Arc<str> {
        &self.component
    }

    /// Checks that the plugin may call another one.
    ///
    /// # Errors
    /// The reason for its author.
    pub(crate) fn check_plugin(&self, callee: &str) -> Result<(), String> {
        self.callable.check(&self.component, callee)
    }

    /// None while the host starts.
    pub(crate) fn plugin_caller(&self) -> Option<&Arc<dyn PluginCaller>> {
        self.plugins.get()
    }

    /// Sends a request of `wasi:http` if its destination is granted. Returns the
    /// head of the response; the body follows as a stream.
    ///
    /// # Errors
    /// The error codes of `wasi:http`: the request is denied, its destination
    /// is prohibited, a limit is reached, or the connection failed.
    pub(crate) async fn send(
        &self,
        request: Request<WasiBody>,
        options: RequestOptions,
        traceparent: Option<&str>,
    ) -> Result<Response<WasiBody>, Error> {
        let (parts, body) = request.into_parts();
        let streamed =
            |body: WasiBody| reqwest::Body::wrap_stream(Limited::new(body, MAX_BODY_BYTES).into_data_stream());
        let body = (!body.is_end_stream()).then(|| streamed(body));
        let within = self.within_wall_time(options.first_byte_timeout);
        let open = self.open(parts, body, within, traceparent).await?;
        open.check_length(MAX_BODY_BYTES)?;
        let (status, headers) = (open.response.status(), open.response.headers().clone());
        let chunks = open.chunks(self.within_wall_time(options.between_bytes_timeout));
        let mut response = Response::new(StreamBody::new(chunks.map_ok(Frame::data)).boxed_unsync());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Sends a request if its destination is granted, and waits for the head of
    /// the response. Every outgoing request passes here.
    ///
    /// # Errors
    /// The request is refused, or there is no response.
    pub(crate) async fn open(
        &self,
        mut parts: Parts,
        body: Option<reqwest::Body>,
        within: Duration,
        traceparent: Option<&str>,
    ) -> Result<OpenResponse, SendError> {
        let component = &*self.component;
        let url = destination::check(&parts.method, &parts.uri, &self.granted).inspect_err(|refusal| {
            tracing::info!(component, uri = %parts.uri, %refusal, "outgoing request is refused");
        })?;
        let slot = self.slot()?;
        // Without a client no destination is granted, so the check has refused it.
        let http = self.http.as_ref().ok_or(SendError::NoConnection)?;
        let mut span = RequestSpan::begin(component, traceparent, &parts.method, &url);
        span.propagate(&mut parts.headers);
        let mut outgoing = http.request(parts.method, url).headers(allowed_headers(parts.headers));
        if let Some(body) = body {
            outgoing = outgoing.body(body);
        }
        let head = match timeout(within, outgoing.send()).await {
            Ok(head) => head.map_err(|error| SendError::of_client(component, &error)),
            Err(_) => Err(SendError::ResponseTimeout),
        };
        Ok(OpenResponse { response: span.end(head)?, slot })
    }

    /// One of the requests that the plugin can have open.
    ///
    /// # Errors
    /// It has all of them open.
    pub(crate) fn slot(&self) -> Result<OwnedSemaphorePermit, SendError> {
        self.share.slots.clone().try_acquire_owned().map_err(|_| SendError::TooMany(MAX_REQUESTS))
    }

    /// Takes bytes out of the memory for buffered bodies.
    ///
    /// # Errors
    /// The plugin or the host has no more for them.
    pub(crate) fn hold(&self, bytes: usize) -> Result<HeldBytes, SendError> {
        self.share.memory.hold(bytes).map_err(over_memory)
    }

    /// A guest can shorten a time limit. It cannot extend one.
    fn within_wall_time(&self, wanted: Option<Duration>) -> Duration {
        wanted.map_or(self.wall_time, |wanted| wanted.min(self.wall_time))
    }
}

fn over_memory(BudgetExceeded { limit, .. }: BudgetExceeded) -> SendError {
    SendError::TooMuchMemory(limit)
}

/// Removes the headers that belong to the host: those that name the
/// destination, and those of the connection.
pub(crate) fn allowed_headers(mut headers: HeaderMap) -> HeaderMap {
    for name in &wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS {
        headers.remove(name);
    }
    headers.remove(header::TE);
    headers
}

/// Adds a chunk to a buffered body and counts its bytes.
///
/// # Errors
/// The body is larger than the limit or than the free memory.
pub(crate) fn append_chunk(
    body: &mut Vec<u8>,
    chunk: &[u8],
    limit_bytes: usize,
    held: &mut HeldBytes,
) -> Result<(), SendError> {
    if body.len().saturating_add(chunk.len()) > limit_bytes {
        return Err(SendError::ResponseBody { announced_bytes: None, limit_bytes });
    }
    held.grow(chunk.len()).map_err(over_memory)?;
    body.extend_from_slice(chunk);
    Ok(())
}

impl OpenResponse {
    fn check_length(&self, limit_bytes: usize) -> Result<(), SendError> {
        match self.response.content_length() {
            Some(bytes) if bytes > limit_bytes as u64 => {
                Err(SendError::ResponseBody { announced_bytes: Some(bytes), limit_bytes })
            }
            _ => Ok(()),
        }
    }

    /// Reads the whole body and counts its bytes.
    ///
    /// # Errors
    /// It is larger than the limit or than the free memory, or it breaks off.
    pub(crate) async fn read(mut self, limit_bytes: usize, held: &mut HeldBytes) -> Result<Vec<u8>, SendError> {
        self.check_length(limit_bytes)?;
        let mut body = Vec::new();
        while let Some(chunk) = self.response.chunk().await.map_err(|_| SendError::Incomplete)? {
            append_chunk(&mut body, &chunk, limit_bytes, held)?;
        }
        Ok(body)
    }

    /// The body as a stream, within the limits on its size and on the wait for
    /// each chunk. The slot is free again when the stream ends or is dropped.
    fn chunks(self, chunk_timeout: Duration) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        let Self { response, slot } = self;
        stream::try_unfold((response, MAX_BODY_BYTES, slot), move |(mut response, left, slot)| async move {
            let chunk = timeout(chunk_timeout, response.chunk()).await.map_err(|_| SendError::ReadTimeout)?;
            let Some(chunk) = chunk.map_err(|_| SendError::Incomplete)? else { return Ok(None) };
            let over = SendError::ResponseBody { announced_bytes: None, limit_bytes: MAX_BODY_BYTES };
            let left = left.checked_sub(chunk.len()).ok_or(over)?;
            Ok(Some((chunk, (response, left, slot))))
        })
    }
}

#[cfg(test)]
mod tests;
