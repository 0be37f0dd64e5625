//! The fields of a form or a query. A name may occur several times.

use crate::api::Refused;
use axum::{
    body::to_bytes,
    extract::{FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use std::{convert::Infallible, time::Duration};

const MAX_FORM_BYTES: usize = 256 << 10;
const READ_TIME: Duration = Duration::from_secs(10);

/// The fields in the order of the form.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

/// The fields of the address.
pub(crate) struct Search(pub(crate) Fields);

impl Fields {
    fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The value of a field without the spaces around it. None if it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// Whether a box is ticked.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All values of a name that are not empty.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The fields whose names have a prefix, without it, as the user wrote them.
    pub(crate) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let values = self.0.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())));
        values.filter(|(_, value)| !value.is_empty())
    }

    /// The words of a field with one on each line.
    pub(crate) fn words(&self, name: &str) -> impl Iterator<Item = String> {
        self.get(name).unwrap_or_default().split_whitespace().map(str::to_owned)
    }

    /// A number. The message names the field for a person.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str, label: &str) -> Result<Option<T>, Refused> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let wrong = || Refused::new(StatusCode::BAD_REQUEST, format!("{label}: {text:?} is not a number in range"));
        text.parse().map(Some).map_err(|_| wrong())
    }
}

/// The query of these pairs, without those that have no value.
pub(crate) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        match tokio::time::timeout(READ_TIME, to_bytes(request.into_body(), MAX_FORM_BYTES)).await {
            Ok(Ok(bytes)) => Ok(Self::parse(&bytes)),
            Ok(Err(_)) => Err((StatusCode::PAYLOAD_TOO_LARGE, "The form is too large").into_response()),
            Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "The form did not arrive in time").into_response()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Search {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Fields::parse(parts.uri.query().unwrap_or_default().as_bytes())))
    }
}
