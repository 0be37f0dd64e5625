//! Requests to other hosts, and to other plugins as `http://NAME.plugin/path`.
//! The policy of the plugin names both, and `wit/deps/requests` documents the
//! limits and the costs.
//!
//! A request is no part of a transaction: send it before the transaction that
//! records its result, and in a handler of an event or a timer before the first
//! use of its [`Tx`](crate::store::Tx).

use serde::{Serialize, de::DeserializeOwned};

use crate::bindings::imports::platform::requests::requests;
use crate::error::{Error, Result};
use crate::headers::first_value;

pub use requests::Error as SendError;

/// A request to another host or plugin.
///
/// ```no_run
/// # use ticketing_sdk::{Result, requests::Outgoing};
/// fn rate() -> Result<f64> {
///     Outgoing::get("https://api.example.com/rate").timeout_ms(2_000).send()?.successful()?.json()
/// }
/// ```
pub struct Outgoing(requests::Request);

/// The response of another host or plugin, whatever its status.
pub struct Incoming(requests::Response);

impl Outgoing {
    /// A request with any method and without a body.
    pub fn new(method: &str, url: &str) -> Self {
        let (method, url) = (method.to_owned(), url.to_owned());
        Self(requests::Request { method, url, headers: Vec::new(), body: Vec::new(), timeout_ms: None })
    }

    /// `GET`.
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// `POST` with a JSON body.
    pub fn post_json(url: &str, body: &impl Serialize) -> Result<Self> {
        Self::new("POST", url).json(body)
    }

    /// A request to another plugin of this host. The path begins with a slash.
    pub fn to_plugin(method: &str, plugin: &str, path: &str) -> Self {
        Self::new(method, &format!("http://{plugin}.plugin{path}"))
    }

    /// Sets a JSON body and its media type.
    pub fn json(self, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// The longest time until the whole response is there. Without it, the
    /// request may last almost as long as the call.
    #[must_use]
    pub fn timeout_ms(mut self, ms: u32) -> Self {
        self.0.timeout_ms = Some(ms);
        self
    }

    /// Sends the request and waits for the whole response. After
    /// [`SendError::Timeout`] and [`SendError::Unreachable`] the other host may
    /// have acted on the request.
    pub fn send(self) -> Result<Incoming, SendError> {
        requests::send(&self.0).map(Incoming)
    }
}

impl Incoming {
    /// The status.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The response, if its status is from 200 to 299. Any other one is
    /// [`Error::Unavailable`] with the status.
    pub fn successful(self) -> Result<Self> {
        match self.status() {
            200..300 => Ok(self),
            status => Err(Error::Unavailable(format!("another host answered with status {status}"))),
        }
    }

    /// The first value of a header. The name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        first_value(&self.0.headers, name)
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// The body as JSON. The error is [`Error::Unavailable`], because the other
    /// host breaks its contract.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let invalid =
            |error: serde_json::Error| Error::Unavailable(format!("the answer with status {}: {error}", self.status()));
        serde_json::from_slice(self.body()).map_err(invalid)
    }
}

/// An error that may pass becomes [`Error::Unavailable`], and any other one a
/// fault of the component.
impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Busy(_) | SendError::Timeout | SendError::Unreachable(_) => {
                Self::Unavailable(format!("request to another host: {error}"))
            }
            error => Self::Internal(format!("request to another host: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(status: u16, body: &str) -> Incoming {
        Incoming(requests::Response { status, headers: Vec::new(), body: body.into() })
    }

    #[test]
    fn a_request_to_a_plugin_has_its_address_and_its_media_type() {
        let request = Outgoing::to_plugin("POST", "mailer", "/mailer/letters").json(&["a"]).unwrap().0;
        assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "http://mailer.plugin/mailer/letters"));
        assert_eq!(request.headers, [("content-type".to_owned(), "application/json".to_owned())]);
        assert_eq!(request.body, br#"["a"]"#);
    }

    #[test]
    fn the_fault_of_another_host_is_no_fault_of_the_component() {
        assert_eq!(incoming(204, "").successful().unwrap().status(), 204);
        assert!(matches!(incoming(404, "").successful(), Err(Error::Unavailable(_))));
        assert!(matches!(incoming(200, "x").json::<i64>(), Err(Error::Unavailable(_))));
        assert_eq!(incoming(200, "7").json::<i64>().unwrap(), 7);
    }
}
