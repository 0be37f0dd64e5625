//! `platform:requests`: a component sends a request to another host or plugin and
//! gets the whole response. [`crate::outbound`] decides to which hosts it may go,
//! and [`crate::plugin_calls`] to which plugins.

mod message;
mod plugins;
pub mod wasi;

pub use crate::bindings::platform::requests::requests::{Error, Request, Response};

use crate::{
    bindings::platform::requests::requests::{self as bindings, Host},
    outbound::{OutboundClient, SendError},
    plugin_calls::Origin,
};
use async_trait::async_trait;
use host_base::byte_budget::HeldBytes;
use host_config::{offer::Offer, plugins::Grant};
use http::request::Parts;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use wasmtime::component::{HasData, Linker};

/// The interface for outgoing requests of the platform's components.
pub const OFFER: Offer = Offer { grant: Grant::Http, interfaces: &["platform:requests/requests"] };

/// The longest time that a call keeps for its answer after a request.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// The turns that a call gives back while it waits for a response.
#[async_trait]
pub trait TurnsAside: Send + Sync {
    /// Gives the turns back. Returns false, and changes nothing, if too many
    /// calls wait already.
    fn give_back(&self) -> bool;

    /// Waits for the turns again. The error is a text for the component.
    async fn take_again(&self) -> Result<(), String>;
}

/// The parts of an invocation that its requests use.
pub struct RequestsView<'a> {
    /// The client with the granted destinations.
    pub client: &'a OutboundClient,
    /// The invocation.
    pub origin: Origin,
    /// Whether the invocation has a transaction open.
    pub in_transaction: bool,
    /// The memory of the last response. It counts until the next request, because
    /// the body is copied into the guest after this one.
    pub held: &'a mut Option<HeldBytes>,
    /// The turns of the invocation. None while it has none.
    pub turns: Option<&'a dyn TurnsAside>,
}

/// Ties [`RequestsView`] to the linker.
struct HasRequests;

impl HasData for HasRequests {
    type Data<'a> = RequestsView<'a>;
}

/// Links `platform:requests`. `view` returns the view of the current invocation.
///
/// # Errors
/// When the interface is linked already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> RequestsView<'_>,
) -> wasmtime::Result<()> {
    bindings::add_to_linker::<T, HasRequests>(linker, view)
}

impl Host for RequestsView<'_> {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        Ok(self.send_and_read(request).await)
    }
}

impl RequestsView<'_> {
    async fn send_and_read(&mut self, request: Request) -> Result<Response, Error> {
        *self.held = None;
        if self.in_transaction {
            return Err(Error::InTransaction);
        }
        let wanted = request.timeout_ms.map(|wanted| Duration::from_millis(wanted.into()));
        let until = latest_end(Instant::now(), self.origin.deadline, wanted).ok_or(Error::Timeout)?;
        let mut held = self.client.hold(request.body.len())?;
        let aside = self.turns.filter(|turns| turns.give_back());
        let response = self.exchange(request, until, &mut held).await;
        if let Some(turns) = aside {
            turns.take_again().await.map_err(Error::Busy)?;
        }
        let response = response?;
        held.shrink_to(response.body.len());
        *self.held = Some(held);
        Ok(response)
    }

    async fn exchange(&self, request: Request, until: Instant, held: &mut HeldBytes) -> Result<Response, Error> {
        let (parts, body) = message::parts_of(request)?;
        match plugins::plugin_of(&parts.uri)?.map(str::to_owned) {
            Some(plugin) => self.exchange_with_plugin(plugin, parts, body, until, held).await,
            None => self.exchange_with_host(parts, body, until, held).await,
        }
    }

    async fn exchange_with_host(
        &self,
        parts: Parts,
        body: Vec<u8>,
        until: Instant,
        held: &mut HeldBytes,
    ) -> Result<Response, Error> {
        let body = (!body.is_empty()).then(|| reqwest::Body::from(body));
        let within = until.saturating_duration_since(Instant::now());
        let open = self.client.open(parts, body, within, self.origin.traceparent.as_deref()).await?;
        let (status, headers) = (open.response.status().as_u16(), message::headers_of(open.response.headers())?);
        let reading = open.read(message::MAX_BODY_BYTES, held);
        let body = timeout_at(until, reading).await.map_err(|_| Error::Timeout)??;
        Ok(Response { status, headers, body })
    }

    async fn exchange_with_plugin(
        &self,
        plugin: String,
        parts: Parts,
        body: Vec<u8>,
        until: Instant,
        held: &mut HeldBytes,
    ) -> Result<Response, Error> {
        let origin = Origin { deadline: until, ..self.origin.clone() };
        let (head, body) = plugins::call(self.client, origin, plugin, parts, body).await?.into_parts();
        let headers = message::headers_of(&head.headers)?;
        let reading = plugins::read(body, message::MAX_BODY_BYTES, held);
        let body = timeout_at(until, reading).await.map_err(|_| Error::Timeout)??;
        Ok(Response { status: head.status.as_u16(), headers, body })
    }
}

/// The time until which a request may last. None if there is no time left.
fn latest_end(now: Instant, deadline: Instant, wanted: Option<Duration>) -> Option<Instant> {
    let rest = deadline.checked_duration_since(now)?;
    let most = rest - ANSWER_TIME.min(rest / 10);
    let within = wanted.map_or(most, |wanted| most.min(wanted));
    (!within.is_zero()).then(|| now + within)
}

/// The error as the component gets it.
impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        let text = error.to_string();
        match error {
            SendError::NotGranted(_) | SendError::NotPublic => Self::Denied(text),
            SendError::Malformed(_) => Self::Invalid(text),
            SendError::TooMany(_) | SendError::TooMuchMemory(_) => Self::Busy(text),
            SendError::ConnectTimeout | SendError::ResponseTimeout | SendError::ReadTimeout => Self::Timeout,
            SendError::RequestBody | SendError::ResponseHead | SendError::ResponseBody { .. } => Self::TooLarge(text),
            SendError::UnknownName | SendError::NoConnection | SendError::Incomplete | SendError::Protocol => {
                Self::Unreachable(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_before_its_call() {
        let now = Instant::now();
        let ends_after = |rest_ms: u64, wanted_ms: Option<u32>| {
            let wanted = wanted_ms.map(|wanted| Duration::from_millis(wanted.into()));
            let end = latest_end(now, now + Duration::from_millis(rest_ms), wanted)?;
            Some(u64::try_from((end - now).as_millis()).unwrap())
        };
        assert_eq!(ends_after(10_000, None), Some(9_500));
        assert_eq!(ends_after(10_000, Some(3_000)), Some(3_000));
        assert_eq!(ends_after(10_000, Some(u32::MAX)), Some(9_500), "a component cannot extend its call");
        assert_eq!(ends_after(100, None), Some(90));
        assert_eq!(ends_after(100, Some(0)), None);
        assert_eq!(ends_after(0, None), None);
        assert_eq!(latest_end(now + Duration::from_secs(1), now, None), None, "the call is over");
    }
}
