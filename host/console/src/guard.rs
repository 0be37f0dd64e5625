//! The protection of the pages in a browser.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

/// No code in pages, nothing from elsewhere, no frames.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                              connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Refuses a change that no page of this listener sent, and adds the headers of
/// every page.
///
/// The guard of the listener has compared `Origin` with `Host`, if both exist. A browser
/// sends `Origin` with each form, so a change without it does not come from a page.
pub(crate) async fn protect(request: Request, next: Next) -> Response {
    let is_from_page = request.headers().contains_key(ORIGIN)
        || request.headers().get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    let mut answer = match request.method().is_safe() || is_from_page {
        true => next.run(request).await,
        false => (StatusCode::FORBIDDEN, "The console takes forms of its own pages only").into_response(),
    };
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
    // `no-referrer` would make browsers send the origin `null` with forms.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-store"));
    answer
}
