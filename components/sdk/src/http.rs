//! Requests that the host has routed, answers, and the table between them.

use serde::Serialize;

use crate::bindings::imports::platform::http::types;
use crate::error::{Error, Result};
use crate::fields::Fields;
use crate::{id, log};

pub use types::Principal;

const JSON: &str = "application/json";

/// A method, a pattern as the manifest has it, and the function to call.
pub type Route = (&'static str, &'static str, fn(&Request) -> Result<Response>);

/// The routes of a component. The host has matched the pattern already.
pub struct Router {
    routes: &'static [Route],
}

impl Router {
    /// The routes, most used first.
    pub const fn new(routes: &'static [Route]) -> Self {
        Self { routes }
    }

    /// Calls the route's function and turns its failure into an answer.
    pub fn handle(&self, request: &Request) -> Response {
        let route =
            self.routes.iter().find(|(method, pattern, _)| *method == request.method() && *pattern == request.route());
        match route {
            Some((_, _, handler)) => handler(request).unwrap_or_else(Error::into_response),
            None => Error::not_found().into_response(),
        }
    }
}

/// What the exported handler does.
#[doc(hidden)]
pub fn serve(router: &Router, request: types::Request) -> types::Response {
    log::report_panics();
    router.handle(&Request(request)).0
}

/// A request: routed, its body read, its session verified.
pub struct Request(types::Request);

impl Request {
    /// The method, in upper case.
    pub fn method(&self) -> &str {
        &self.0.method
    }

    /// The manifest's pattern that matched.
    pub fn route(&self) -> &str {
        &self.0.route
    }

    /// A segment that the pattern names.
    pub fn param(&self, name: &str) -> Result<&str> {
        first(&self.0.params, name).ok_or_else(|| Error::Internal(format!("the route has no parameter `{name}`")))
    }

    /// A segment that is an id; one that cannot exist is a 404.
    pub fn id_param(&self, name: &str) -> Result<&str> {
        let value = self.param(name)?;
        if id::is_valid(value) { Ok(value) } else { Err(Error::not_found()) }
    }

    /// A header's first value; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.0.headers, name)
    }

    /// The first value of a query parameter, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.0.query.as_deref()?.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// Who is signed in, if anybody is.
    pub fn principal(&self) -> Option<&Principal> {
        self.0.principal.as_ref()
    }

    /// Who is signed in, or 401.
    pub fn signed_in(&self) -> Result<&Principal> {
        self.principal().ok_or_else(Error::not_authorized)
    }

    /// The fields of a JSON object; without a body there are none.
    pub fn fields(&self) -> Result<Fields<'_>> {
        Fields::parse(&self.0.body)
    }

    /// Whether `If-Match` is absent or allows the version: 412 otherwise.
    pub fn check_if_match(&self, version: i64) -> Result<()> {
        let Some(header) = self.header("if-match") else {
            return Ok(());
        };
        let tag = etag(version);
        let matches = header.split(',').map(str::trim).any(|candidate| candidate == "*" || candidate == tag);
        if matches { Ok(()) } else { Err(Error::refused(412, "It was changed in the meantime")) }
    }
}

impl From<types::Request> for Request {
    fn from(request: types::Request) -> Self {
        Self(request)
    }
}

/// An answer.
#[derive(Debug)]
pub struct Response(types::Response);

impl Response {
    /// A JSON body.
    pub fn json(status: u16, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Self::content(status, JSON, body))
    }

    /// A JSON body whose type cannot fail to serialize.
    pub(crate) fn json_or_empty(status: u16, body: &impl Serialize) -> Self {
        Self::content(status, JSON, serde_json::to_vec(body).unwrap_or_default())
    }

    /// A body of any media type.
    pub fn content(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), media_type.to_owned())];
        Self(types::Response { status, headers, body: body.into() })
    }

    /// No body.
    pub fn empty(status: u16) -> Self {
        Self(types::Response { status, headers: Vec::new(), body: Vec::new() })
    }

    /// Adds a header; the name in lower case.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds the version as `ETag`.
    #[must_use]
    pub fn version(self, version: i64) -> Self {
        self.header("etag", etag(version))
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// A header's first value.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        first(&self.0.headers, name)
    }
}

fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

fn first<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A signed-out `GET` of `/things` with the given query and headers.
    pub(crate) fn request(query: Option<&str>, headers: &[(&str, &str)]) -> Request {
        Request(types::Request {
            id: "r".to_owned(),
            method: "GET".to_owned(),
            route: "/things".to_owned(),
            params: vec![("id".to_owned(), "nonsense".to_owned())],
            path: "/things".to_owned(),
            query: query.map(str::to_owned),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: Vec::new(),
            principal: None,
        })
    }

    const ROUTES: Router = Router::new(&[("GET", "/things", |_| Ok(Response::empty(204)))]);

    #[test]
    fn a_route_is_found_by_method_and_pattern() {
        assert_eq!(ROUTES.handle(&request(None, &[])).status(), 204);
        let mut other = request(None, &[]);
        other.0.method = "POST".to_owned();
        assert_eq!(ROUTES.handle(&other).status(), 404);
    }

    #[test]
    fn nobody_signed_in_is_a_401_and_a_malformed_id_a_404() {
        let request = request(None, &[]);
        let nobody = request.signed_in().unwrap_err().into_response();
        assert_eq!(nobody.status(), 401);
        assert_eq!(nobody.body(), br#"{"errors":[{"message":"Not authorized"}]}"#);
        let unknown = request.id_param("id").unwrap_err().into_response();
        assert_eq!(unknown.status(), 404);
    }

    #[test]
    fn a_stale_or_weak_tag_is_refused() {
        for (header, allowed) in
            [("\"3\"", true), ("*", true), ("\"2\", \"3\"", true), ("\"2\"", false), ("W/\"3\"", false), ("3", false)]
        {
            let outcome = request(None, &[("if-match", header)]).check_if_match(3);
            assert_eq!(outcome.is_ok(), allowed, "{header}");
        }
    }
}
