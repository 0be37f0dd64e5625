//! Headers that keep an answer out of the caches of other visitors, and the short
//! answer for a client that has the answer already.

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};

const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");

/// Keeps an answer with a cookie out of every cache. An answer of a plugin that
/// knows the visitor may depend on the visitor, so no cache keeps it either, unless
/// the plugin itself says how caches treat it.
pub(super) fn keep_private(knows_visitor: bool, answer: &mut HeaderMap) {
    let gives_cookie = answer.contains_key(header::SET_COOKIE);
    if gives_cookie || (knows_visitor && !answer.contains_key(header::CACHE_CONTROL)) {
        answer.insert(header::CACHE_CONTROL, PRIVATE);
        answer.append(header::VARY, HeaderValue::from_static("Cookie"));
    }
}

/// Whether a shared cache may store the answer. It then belongs to no visitor.
pub(super) fn is_public(answer: &HeaderMap) -> bool {
    let values = answer.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case("public"))
}

/// The headers that a 304 has, see RFC 9110, section 15.4.5, and those of the host.
fn belongs_to_304(name: &HeaderName) -> bool {
    let describes_content = name.as_str().starts_with("content-") && *name != header::CONTENT_LOCATION;
    !(describes_content && *name != header::CONTENT_SECURITY_POLICY)
}

/// Replaces an answer by 304 if `If-None-Match` of the request names its tag. The
/// comparison is weak, see RFC 9110, section 13.1.2.
pub(super) fn shorten(parts: &Parts, response: &mut Response) {
    if !matches!(parts.method, Method::GET | Method::HEAD) || response.status() != StatusCode::OK {
        return;
    }
    let Some(tag) = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()) else { return };
    if !names_tag(&parts.headers, tag) {
        return;
    }
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.body_mut() = Body::empty();
    let names: Vec<HeaderName> = response.headers().keys().filter(|name| !belongs_to_304(name)).cloned().collect();
    for name in names {
        response.headers_mut().remove(name);
    }
}

fn names_tag(headers: &HeaderMap, tag: &str) -> bool {
    let strong = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let tag = strong(tag);
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|named| named == "*" || strong(named) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn request(method: &str, if_none_match: &[&str]) -> Parts {
        let mut request = Request::builder().method(method).uri("/things");
        for value in if_none_match {
            request = request.header("if-none-match", *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(Body::from("content")).unwrap()
    }

    #[test]
    fn a_client_that_has_the_answer_gets_304() {
        for (method, names, tag, status, expected) in [
            ("GET", &["\"1\""][..], "\"1\"", 200, 304),
            ("HEAD", &["\"1\""], "\"1\"", 200, 304),
            ("GET", &["W/\"1\""], "\"1\"", 200, 304),
            ("GET", &["\"1\""], "W/\"1\"", 200, 304),
            ("GET", &["\"0\", \"1\""], "\"1\"", 200, 304),
            ("GET", &["\"0\"", "\"1\""], "\"1\"", 200, 304),
            ("GET", &["*"], "\"1\"", 200, 304),
            ("GET", &["\"2\""], "\"1\"", 200, 200),
            ("GET", &["1"], "\"1\"", 200, 200),
            ("GET", &[""], "\"1\"", 200, 200),
            ("GET", &[], "\"1\"", 200, 200),
            ("POST", &["\"1\""], "\"1\"", 200, 200),
            ("GET", &["\"1\""], "\"1\"", 404, 404),
        ] {
            let mut response = answer(status, &[("etag", tag)]);
            shorten(&request(method, names), &mut response);
            assert_eq!(response.status().as_u16(), expected, "{method} {names:?} {tag}");
        }
    }

    #[tokio::test]
    async fn a_304_has_no_content_and_keeps_the_headers_of_the_copy() {
        let kept = [
            ("etag", "\"1\""),
            ("vary", "Cookie"),
            ("cache-control", "no-cache"),
            ("content-security-policy", "default-src 'none'"),
            ("content-location", "/things"),
        ];
        let removed = [("content-type", "text/html"), ("content-length", "7"), ("content-encoding", "br")];
        let mut response = answer(200, &[&kept[..], &removed].concat());
        shorten(&request("GET", &["*"]), &mut response);
        for (name, value) in kept {
            assert_eq!(response.headers()[name], value);
        }
        for (name, _) in removed {
            assert!(!response.headers().contains_key(name), "{name}");
        }
        assert!(axum::body::to_bytes(response.into_body(), 100).await.unwrap().is_empty());
    }

    #[test]
    fn an_answer_that_depends_on_the_visitor_stays_out_of_caches() {
        let cache_control = |knows_visitor, headers: &[(&str, &str)]| {
            let mut response = answer(200, headers);
            keep_private(knows_visitor, response.headers_mut());
            let text = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            (text("cache-control"), text("vary"))
        };
        let private = (Some("private, no-store".to_owned()), Some("Cookie".to_owned()));
        assert_eq!(cache_control(true, &[]), private);
        assert_eq!(cache_control(false, &[("set-cookie", "session=1")]), private);
        assert_eq!(cache_control(true, &[("set-cookie", "a=1"), ("cache-control", "public, max-age=60")]), private);
        assert_eq!(cache_control(false, &[]), (None, None));
        let file = "public, max-age=31536000, immutable";
        assert_eq!(cache_control(true, &[("cache-control", file)]), (Some(file.to_owned()), None));
    }
}
