//! The answer of a component on its way to the client.

use super::{REMOVED_HEADERS, caching, live::Hold, origin};
use axum::{body::Body, response::Response};
use bytes::Bytes;
use host_base::{
    byte_budget::HeldBytes,
    text::{REASON_BYTES, truncate},
};
use host_capabilities::identity::IssuedCookies;
use host_engine::{Failure, answer_head, bindings::exports::platform::http::handler as wit};
use host_http::{client_link::ClientLink, error::Refusal};
use host_plugin::{Called, Revision, Work};
use http::{HeaderName, HeaderValue, StatusCode, header};

/// The headers that the host adds to most answers.
const OWN_HEADERS: usize = 6;
/// A head of fewer bytes is not worth the counting.
const SMALL_HEAD_BYTES: usize = 1 << 10;

/// The request that is answered.
pub(super) struct Asked<'a> {
    pub(super) revision: &'a Revision,
    /// The call, as a failure names it.
    pub(super) called: Called<'a>,
    /// The session cookies that the host issued for this answer.
    pub(super) issued: Option<&'a IssuedCookies>,
    /// The way back to the client. None for a request that came without a connection.
    pub(super) link: Option<&'a ClientLink>,
}

/// A body with its share of the bytes that clients have not taken yet.
struct Counted {
    body: Vec<u8>,
    _held: HeldBytes,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Asked<'_> {
    /// Makes the response of a platform component's answer.
    ///
    /// # Errors
    /// The answer breaks the contract, or too many answers wait for their
    /// clients. The failure has been counted and logged.
    pub(super) fn http_response(&self, answer: wit::Response) -> Result<Response, Refusal> {
        let invalid = |problem: String| self.refuse(problem);
        let lengths = answer.headers.iter().map(|(name, value)| (name.len(), value.len()));
        let head_bytes = answer_head::check(answer.status, lengths).map_err(invalid)?;
        let status = StatusCode::from_u16(answer.status).map_err(|error| invalid(error.to_string()))?;
        let limit = self.revision.manifest.limits.response_bytes;
        if answer.body.len() > limit {
            return Err(invalid(format!("a body of {} bytes, over the limit of {limit}", answer.body.len())));
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.reserve(answer.headers.len() + OWN_HEADERS);
        for (name, value) in answer.headers {
            let name = HeaderName::try_from(&name)
                .map_err(|_| invalid(format!("the header name {:?}", truncate(&name, REASON_BYTES))))?;
            let value = HeaderValue::try_from(value).map_err(|_| invalid(format!("the value of the header {name}")))?;
            if !REMOVED_HEADERS.contains(&name) {
                headers.append(name, value);
            }
        }
        if !status.is_success() && !headers.contains_key(header::CONTENT_TYPE) {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        self.take_hold(&mut response).map_err(invalid)?;
        *response.body_mut() = self.count(head_bytes, answer.body)?;
        self.guard(&mut response);
        Ok(response)
    }

    /// Makes the response of a `wasi:http` component's answer. The engine has
    /// checked its head, and counts the pieces of its body.
    ///
    /// # Errors
    /// Too many answers wait for their clients.
    pub(super) fn streamed_response(&self, mut answer: Response) -> Result<Response, Refusal> {
        let head_bytes = answer.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        self.hold_head(head_bytes)?;
        for name in &REMOVED_HEADERS {
            answer.headers_mut().remove(name);
        }
        self.take_hold(&mut answer).map_err(|problem| self.refuse(problem))?;
        self.guard(&mut answer);
        Ok(answer)
    }

    /// Turns the headers that ask for a held connection into an extension.
    fn take_hold(&self, response: &mut Response) -> Result<(), String> {
        let Some(hold) = Hold::take(response.headers_mut())? else { return Ok(()) };
        if self.revision.database.is_none() {
            return Err("a held connection without the store".to_owned());
        }
        let Work::Request { method, .. } = self.called.work else { return Ok(()) };
        let status = response.status();
        hold.prepare(method, status, response.headers_mut())?;
        response.extensions_mut().insert(hold);
        Ok(())
    }

    fn refuse(&self, problem: String) -> Refusal {
        let failure = Failure::Answer { component: self.revision.name().to_owned(), problem };
        self.revision.note(&failure, self.called);
        Refusal::from(&failure)
    }

    /// The body, which counts as unsent until the connection drops it.
    fn count(&self, head_bytes: usize, body: Vec<u8>) -> Result<Body, Refusal> {
        self.hold_head(head_bytes)?;
        if body.is_empty() {
            return Ok(Body::empty());
        }
        let held = self.hold(body.capacity())?;
        Ok(Body::from(Bytes::from_owner(Counted { body, _held: held })))
    }

    fn hold_head(&self, bytes: usize) -> Result<(), Refusal> {
        if let (true, Some(link)) = (bytes >= SMALL_HEAD_BYTES, self.link) {
            link.hold(self.hold(bytes)?);
        }
        Ok(())
    }

    fn hold(&self, bytes: usize) -> Result<HeldBytes, Refusal> {
        self.revision.hold_unsent(bytes, self.called).map_err(|failure| Refusal::from(&failure))
    }

    /// Takes the headers out that belong to others than the component.
    fn guard(&self, response: &mut Response) {
        let headers = response.headers_mut();
        origin::guard(self.revision, self.issued, headers);
        caching::keep_private(origin::knows_visitor(self.revision), headers);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
}
