//! Why a request to another host has no response.

use super::{
    destination::{Destination, Refusal},
    dns::DnsError,
};
use std::error::Error as StdError;
use wasmtime_wasi_http::Error as WasiError;

/// Why a request has no response. The texts are for the author of the component.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("the policy of the plugin does not allow requests to {0}")]
    NotGranted(Destination),
    #[error("{0}")]
    Malformed(&'static str),
    #[error("the name resolves to an address that is not public")]
    NotPublic,
    #[error("the name does not resolve")]
    UnknownName,
    #[error("{0} requests of the plugin are under way")]
    TooMany(usize),
    #[error("the bodies of requests take more than {0} bytes of memory")]
    TooMuchMemory(usize),
    #[error("no connection within the time")]
    ConnectTimeout,
    #[error("no response within the time")]
    ResponseTimeout,
    #[error("no further byte of the response within the time")]
    ReadTimeout,
    #[error("no connection could be made")]
    NoConnection,
    #[error("the body of the request is too large or broke off")]
    RequestBody,
    #[error("the headers of the response are over a limit")]
    ResponseHead,
    #[error("the body of the response is over the limit of {limit_bytes} bytes")]
    ResponseBody { announced_bytes: Option<u64>, limit_bytes: usize },
    #[error("the response broke off")]
    Incomplete,
    #[error("the response is not HTTP, or the connection broke before it")]
    Protocol,
}

impl From<Refusal> for SendError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotGranted(destination) => Self::NotGranted(destination),
            Refusal::Malformed(problem) => Self::Malformed(problem),
        }
    }
}

impl SendError {
    /// Finds the cause in an error of the HTTP client.
    pub(super) fn of_client(component: &str, error: &reqwest::Error) -> Self {
        let mut source: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<DnsError>() {
                tracing::info!(component, %error, "outgoing request is refused");
                return match error {
                    DnsError::Prohibited { .. } => Self::NotPublic,
                    DnsError::Unknown { .. } => Self::UnknownName,
                };
            }
            if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse_too_large) {
                return Self::ResponseHead;
            }
            source = error.source();
        }
        match error {
            _ if error.is_connect() && error.is_timeout() => Self::ConnectTimeout,
            _ if error.is_connect() => Self::NoConnection,
            _ if error.is_body() => Self::RequestBody,
            _ => Self::Protocol,
        }
    }

    /// The name in traces.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::ConnectTimeout | Self::ResponseTimeout | Self::ReadTimeout => "timeout",
            Self::UnknownName => "name",
            Self::NotPublic => "prohibited",
            _ => "connection",
        }
    }
}

/// The error codes of `wasi:http`.
impl From<SendError> for WasiError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotGranted(_) => Self::HttpRequestDenied,
            SendError::Malformed(_) => Self::HttpRequestUriInvalid,
            SendError::NotPublic => Self::DestinationIpProhibited,
            SendError::UnknownName => Self::DnsError { rcode: None, info_code: None },
            SendError::TooMany(_) | SendError::TooMuchMemory(_) => Self::ConnectionLimitReached,
            SendError::ConnectTimeout => Self::ConnectionTimeout,
            SendError::ResponseTimeout => Self::HttpResponseTimeout,
            SendError::ReadTimeout => Self::ConnectionReadTimeout,
            SendError::NoConnection => Self::ConnectionRefused,
            SendError::RequestBody => Self::HttpRequestBodySize(None),
            SendError::ResponseHead => Self::HttpResponseHeaderSectionSize(None),
            SendError::ResponseBody { announced_bytes, .. } => Self::HttpResponseBodySize(announced_bytes),
            SendError::Incomplete => Self::HttpResponseIncomplete,
            SendError::Protocol => Self::HttpProtocolError,
        }
    }
}
