//! Headers of answers of plugins that do not own the origin.

use http::{HeaderName, HeaderValue};

/// Headers that act on the answer alone, or on the page that it is. The list says
/// what is allowed and not what is forbidden, because browsers and proxies learn
/// new headers that act on the whole origin: `clear-site-data`,
/// `strict-transport-security`, `alt-svc`, `reporting-endpoints`, `nel`,
/// `accept-ch`, `service-worker-allowed`, `use-as-dictionary`,
/// `www-authenticate`, `refresh` to another page, and those to come.
const ALLOWED: [&str; 41] = [
    "accept-patch",
    "accept-post",
    "accept-ranges",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "allow",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "deprecation",
    "digest",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "permissions-policy",
    "pragma",
    "referrer-policy",
    "repr-digest",
    "retry-after",
    "server",
    "server-timing",
    "sunset",
    "timing-allow-origin",
    "vary",
    "x-content-type-options",
    "x-frame-options",
];

/// Names of the form `x-...` are the plugin's own. These are not: proxies, caches
/// and load balancers act on them, and the host itself sets some.
const ACTING: [&str; 18] = [
    "x-accel-",
    "x-amz",
    "x-cache",
    "x-cdn",
    "x-dns-prefetch-control",
    "x-envoy-",
    "x-forwarded",
    "x-http2-",
    "x-lighttpd-",
    "x-litespeed-",
    "x-middleware-",
    "x-permitted-cross-domain-policies",
    "x-plugin-",
    "x-principal-",
    "x-proxy",
    "x-reproxy",
    "x-sendfile",
    "x-varnish",
];

/// Relations of a link that describe and that make no browser or proxy fetch
/// anything.
const DESCRIBING: [&str; 8] = ["first", "last", "next", "prev", "self", "up", "describedby", "license"];

/// The start of the type of an answer that replaces the page again and again.
const MULTIPART: &[u8] = b"multipart/x-mixed";

/// Checks a header with one of its values.
pub(super) fn check(name: &HeaderName, value: &HeaderValue) -> Result<(), &'static str> {
    let allowed = match name.as_str() {
        "link" => value.to_str().is_ok_and(is_describing),
        // Each part of such an answer has headers of its own.
        "content-type" => {
            let start = value.as_bytes().trim_ascii_start().get(..MULTIPART.len());
            !start.is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART))
        }
        name if ALLOWED.binary_search(&name).is_ok() => true,
        name => name.starts_with("x-") && !ACTING.iter().any(|acting| name.starts_with(acting)),
    };
    match allowed {
        true => Ok(()),
        false => Err("only a plugin with the entry same-origin may send it"),
    }
}

/// Whether all links are of the form `<address>; rel="next"`.
fn is_describing(links: &str) -> bool {
    links.split(',').all(|link| {
        let Some((address, relation)) = link.trim().strip_prefix('<').and_then(|link| link.split_once('>')) else {
            return false;
        };
        let relation = relation.trim_start().strip_prefix(';').and_then(|rest| rest.trim().strip_prefix("rel="));
        let relation = relation.map(|relation| relation.trim_matches('"'));
        !address.contains(['<', '"', ';']) && relation.is_some_and(|relation| DESCRIBING.contains(&relation))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(ALLOWED.is_sorted());
    }
}
