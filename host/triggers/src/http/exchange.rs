//! A request on its way to the component, and the answer on its way back.

use super::answer::Asked;
use axum::response::Response;
use host_engine::{CallContext, Failure, Request, bindings::exports::platform::http::handler as wit};
use host_http::{client_link::ClientLink, error::Refusal};
use host_plugin::{Called, Invocation, Revision};
use http::HeaderName;
use std::time::{Duration, Instant};

/// A component asks with this header for a repetition of the call.
pub(super) const ASK_AGAIN: HeaderName = HeaderName::from_static("x-ask-again-ms");
/// The longest time for which a component may let the host repeat a call.
const MAX_ASK_AGAIN: Duration = Duration::from_secs(2);

/// A request that is ready for the component, and what its answer needs.
pub(super) struct Exchange {
    pub(super) call: CallContext,
    pub(super) request: Request,
    /// The way back to the client. None for a request that came without a connection.
    pub(super) link: Option<ClientLink>,
}

impl Exchange {
    /// The component's answer for the client.
    pub(super) async fn answer(&self, invocation: &Invocation) -> Result<Response, Refusal> {
        let answer = self.call(invocation).await.map_err(|failure| Refusal::from(&failure))?;
        self.asked(invocation.revision()).http_response(answer)
    }

    /// Calls the component, and repeats the call while the component answers that an
    /// event which it needs may still arrive. Between two calls the request takes no
    /// part of the component's concurrency.
    pub(super) async fn call(&self, invocation: &Invocation) -> Result<wit::Response, Failure> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(2);
        loop {
            let answer = invocation.answer(&self.call, &self.request).await?;
            let time = ask_again_time(&answer).min(MAX_ASK_AGAIN);
            if time.is_zero() || begun.elapsed() + pause > time {
                return Ok(answer);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    pub(super) fn asked<'a>(&'a self, revision: &'a Revision) -> Asked<'a> {
        let (called, issued) = (self.called(), self.call.issued.as_deref());
        Asked { revision, called, issued, link: self.link.as_ref() }
    }

    /// The call, as a failure names it.
    pub(super) fn called(&self) -> Called<'_> {
        Called::of_request(&self.request, &self.call)
    }
}

pub(super) fn ask_again_time(answer: &wit::Response) -> Duration {
    let header = answer.headers.iter().find(|(name, _)| name == ASK_AGAIN.as_str());
    Duration::from_millis(header.and_then(|(_, value)| value.parse().ok()).unwrap_or(0))
}
