//! Requests of the console to the operator API, which is in the same process.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use host_api::error::{Envelope, Fault};
use http::{
    HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, LINK},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};
use std::borrow::Cow;
use tower::ServiceExt;

/// The longest answer that the API gives is a page of a list with 1 MiB, or one row that is
/// larger.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// The characters of a segment that need no escape.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The API, for the owner of one token.
#[derive(Clone)]
pub(crate) struct Api {
    router: Router,
    authorization: HeaderValue,
}

/// A request that the API refused, or that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) faults: Vec<Fault>,
}

/// Rows of a list, and the query of the next page.
pub(crate) struct Rows<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) next: Option<String>,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, faults: vec![Fault { message: message.into(), field: None }] }
    }
}

impl Api {
    /// None if the token cannot be in a header, so it is not valid.
    pub(crate) fn new(router: Router, token: &str) -> Option<Self> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        authorization.set_sensitive(true);
        Some(Self { router, authorization })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refused> {
        read(self.send(Method::GET, path, Body::empty()).await?).await
    }

    /// The text of an answer that is no JSON.
    pub(crate) async fn text(&self, path: &str) -> Result<String, Refused> {
        let answer = self.send(Method::GET, path, Body::empty()).await?;
        let bytes = to_bytes(answer.into_body(), MAX_ANSWER_BYTES).await.map_err(|_| unreadable())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// An answer that the browser gets as it is.
    pub(crate) async fn download(&self, path: &str) -> Result<Response, Refused> {
        self.send(Method::GET, path, Body::empty()).await
    }

    /// A page of a list.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Rows<T>, Refused> {
        let answer = self.send(Method::GET, path, Body::empty()).await?;
        let link = answer.headers().get(LINK).and_then(|link| link.to_str().ok());
        let next = link.and_then(|link| Some(link.split_once('?')?.1.split_once('>')?.0.to_owned()));
        Ok(Rows { rows: read(answer).await?, next })
    }

    /// Sends a change, and reads its answer.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Refused> {
        let body = serde_json::to_vec(body).map_err(|_| unreadable())?;
        read(self.send(method, path, Body::from(body)).await?).await
    }

    /// Sends a change that has no answer but its success.
    pub(crate) async fn act(&self, method: Method, path: &str) -> Result<(), Refused> {
        self.send(method, path, Body::empty()).await.map(drop)
    }

    async fn send(&self, method: Method, path: &str, body: Body) -> Result<Response, Refused> {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json").body(body);
        let answer = self.forward(request.map_err(|_| unreadable())?).await;
        match answer.status().is_success() {
            true => Ok(answer),
            false => Err(refused(answer).await),
        }
    }

    /// Sends a request with the token as it is.
    pub(crate) async fn forward(&self, mut request: Request) -> Response {
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        match self.router.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}

/// The value in a success.
pub(crate) async fn read<T: DeserializeOwned>(answer: Response) -> Result<T, Refused> {
    let bytes = to_bytes(answer.into_body(), MAX_ANSWER_BYTES).await.map_err(|_| unreadable())?;
    serde_json::from_slice(&bytes).map_err(|_| unreadable())
}

/// The faults in an answer that is no success.
pub(crate) async fn refused(answer: Response) -> Refused {
    let status = answer.status();
    let bytes = to_bytes(answer.into_body(), MAX_ANSWER_BYTES).await.unwrap_or_default();
    match serde_json::from_slice::<Envelope>(&bytes) {
        Ok(envelope) => Refused { status, faults: envelope.errors },
        Err(_) => Refused::new(status, "The host gave no reason"),
    }
}

fn unreadable() -> Refused {
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "The host's own answer cannot be read")
}

/// One segment of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The path of a plugin in the API, which is also its path below `/console`.
pub(crate) fn plugin_path(name: &str) -> String {
    format!("/plugins/{}", segment(name))
}

/// The same for a revision.
pub(crate) fn revision_path(name: &str, id: &str) -> String {
    format!("{}/revisions/{}", plugin_path(name), segment(id))
}
