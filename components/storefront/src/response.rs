//! What all answers have in common: the headers that keep other sites out, and
//! the tag that saves sending a file again.

use ticketing_sdk::{Request, Response};

/// Nothing but this site's own files, and nothing inline; see CSP level 3.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Answers with a file, or with 304 where the browser has it.
pub(crate) fn respond(request: &Request, status: u16, media_type: &str, body: &str, caching: &str) -> Response {
    let etag = format!("\"{:016x}\"", tag(body));
    let response = if status == 200 && has(request, &etag) {
        Response::content(304, media_type, "")
    } else {
        Response::content(status, media_type, body)
    };
    response
        .header("etag", etag)
        .header("cache-control", caching)
        .header("content-security-policy", CONTENT_SECURITY_POLICY)
        .header("cross-origin-opener-policy", "same-origin")
        .header("referrer-policy", "same-origin")
        .header("x-content-type-options", "nosniff")
}

/// Tells versions of a file apart: FNV-1a of 64 bits.
pub(crate) const fn tag(body: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut rest = body.as_bytes();
    while let [byte, tail @ ..] = rest {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        rest = tail;
    }
    hash
}

/// Whether `If-None-Match` names the tag, compared weakly (RFC 9110, 13.1.2).
fn has(request: &Request, etag: &str) -> bool {
    request.header("if-none-match").is_some_and(|header| {
        header.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ticketing_sdk::bindings::imports::platform::http::types;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    /// A `GET` that was routed.
    pub(crate) fn request(route: &str, params: Pairs<'_>, query: Option<&str>, headers: Pairs<'_>) -> Request {
        let owned = |pairs: Pairs<'_>| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        Request::from(types::Request {
            id: "r".to_owned(),
            method: "GET".to_owned(),
            route: route.to_owned(),
            params: owned(params),
            path: route.to_owned(),
            query: query.map(str::to_owned),
            headers: owned(headers),
            body: Vec::new(),
            principal: None,
        })
    }

    fn answer(if_none_match: &str) -> Response {
        let request = request("/", &[], None, &[("if-none-match", if_none_match)]);
        respond(&request, 200, "text/html; charset=utf-8", "body", "no-cache")
    }

    #[test]
    fn a_file_that_the_browser_has_is_not_sent_again() {
        let first = answer("\"other\"");
        assert_eq!((first.status(), first.body()), (200, &b"body"[..]));
        let etag = first.header_value("etag").unwrap();
        for header in [etag.to_owned(), format!("W/{etag}"), format!("\"a\", {etag}"), "*".to_owned()] {
            let again = answer(&header);
            assert_eq!((again.status(), again.body()), (304, &b""[..]), "{header}");
            assert_eq!(again.header_value("etag"), Some(etag));
            assert_eq!(again.header_value("content-type"), Some("text/html; charset=utf-8"));
        }
    }

    #[test]
    fn nothing_may_come_from_elsewhere_nor_frame_the_pages() {
        let response = answer("");
        let policy = response.header_value("content-security-policy").unwrap();
        for directive in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.split("; ").any(|part| part == directive), "{directive} is not in {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("  "), "{policy}");
    }

    #[test]
    fn the_tag_is_the_published_function() {
        assert_eq!(tag(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(tag("foobar"), 0x8594_4171_f739_67e8);
    }
}
