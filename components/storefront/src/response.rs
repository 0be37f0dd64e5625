//! The headers of all responses. They protect the pages from other sites, and
//! let a browser reuse its copy of a file.

use ticketing_sdk::Response;

/// Allows the files of this site only, and nothing inline; see CSP level 3.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Makes the response with a file. The host answers 304 if the browser has the file
/// with this tag.
pub(crate) fn respond(status: u16, media_type: &str, body: &str, cache_control: &str) -> Response {
    Response::content(status, media_type, body)
        .header("etag", format!("\"{:016x}\"", hash(HASH_START, body)))
        .header("cache-control", cache_control)
        .header("content-security-policy", CONTENT_SECURITY_POLICY)
        .header("cross-origin-opener-policy", "same-origin")
        .header("referrer-policy", "same-origin")
        .header("x-content-type-options", "nosniff")
}

/// The [`hash`] of an empty text.
pub(crate) const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Continues a hash with a text: FNV-1a with 64 bits. Two versions of a file have
/// different hashes.
pub(crate) const fn hash(start: u64, text: &str) -> u64 {
    let mut hash = start;
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        rest = tail;
    }
    hash
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ticketing_sdk::Request;
    use ticketing_sdk::bindings::imports::platform::http::types;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    /// A `GET` request for a route.
    pub(crate) fn request(route: &str, params: Pairs<'_>) -> Request {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request::from(types::Request {
            id: "r".to_owned(),
            method: "GET".to_owned(),
            route: route.to_owned(),
            params,
            path: route.to_owned(),
            query: None,
            headers: Vec::new(),
            body: Vec::new(),
            principal: None,
        })
    }

    #[test]
    fn other_sites_provide_no_files_and_cannot_frame_the_pages() {
        let response = respond(200, "text/html; charset=utf-8", "body", "no-cache");
        let policy = response.header_value("content-security-policy").unwrap();
        for directive in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.split("; ").any(|part| part == directive), "{directive} is not in {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("  "), "{policy}");
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(hash(HASH_START, ""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(HASH_START, "foobar"), 0x8594_4171_f739_67e8);
    }
}
