//! Requests that no endpoint answers.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use host_http::error::Refusal;
use host_plugin::registry::{Lookup, Snapshot};
use http::{HeaderValue, Method, StatusCode, header, request::Parts};

/// The path of the description of the public API. A plugin may have the path if its
/// policy allows this.
const API_DOCUMENT: &str = "/openapi.json";

/// The host's own answer to a visitor, with the description of the API.
pub(super) fn answer_visitor(snapshot: &Snapshot, lookup: &Lookup<'_>, parts: &Parts) -> Response {
    match lookup {
        Lookup::Nothing if parts.uri.path() == API_DOCUMENT => match parts.method {
            Method::GET | Method::HEAD => api_document(snapshot),
            _ => other_methods("GET, HEAD, OPTIONS", &parts.method),
        },
        _ => answer(lookup, parts),
    }
}

/// The host's own answer: the methods of the path, the right path, or a refusal.
pub(super) fn answer(lookup: &Lookup<'_>, parts: &Parts) -> Response {
    match lookup {
        Lookup::OtherMethods { allow } => other_methods(allow, &parts.method),
        Lookup::OtherPath(path) => redirect(path, parts.uri.query()),
        Lookup::Target(_) | Lookup::Nothing => Refusal::NotFound.into_response(),
    }
}

fn other_methods(allow: &str, method: &Method) -> Response {
    let mut response = match *method {
        Method::OPTIONS => with_status(StatusCode::NO_CONTENT),
        _ => Refusal::MethodNotAllowed.into_response(),
    };
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

fn api_document(snapshot: &Snapshot) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        // Tools on the pages of other sites may read it.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    (headers, snapshot.api_document()).into_response()
}

/// 308 keeps the method and the body, see RFC 9110, section 15.4.9.
fn redirect(path: &str, query: Option<&str>) -> Response {
    let location = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let Ok(location) = HeaderValue::from_str(&location) else { return Refusal::NotFound.into_response() };
    let mut response = with_status(StatusCode::PERMANENT_REDIRECT);
    response.headers_mut().insert(header::LOCATION, location);
    // A plugin that comes later may have the other path.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn with_status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
