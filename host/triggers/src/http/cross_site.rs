//! Refuses changes that a page of another site asks for. A session is not needed
//! for harm: a foreign form could sign the visitor in to the account of somebody
//! else.

use crate::client::Client;
use http::{HeaderMap, HeaderName, Method, Uri, header};

/// Where the page is that asks, beside the address that it asks.
pub(super) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a page of another site asks for a change, as far as a browser says so.
/// Programs that are no browsers send neither of the headers.
pub(super) fn is_forbidden(method: &Method, headers: &HeaderMap, client: &Client) -> bool {
    let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    !is_safe && is_cross_site(headers, client)
}

/// A browser sets `Sec-Fetch-Site` itself, and no page can change it, see Fetch
/// Metadata Request Headers, section 2.3. Without it, the host compares `Origin` with
/// the address that the visitor sees.
fn is_cross_site(headers: &HeaderMap, client: &Client) -> bool {
    match headers.get(FETCH_SITE).map(|value| value.as_bytes()) {
        Some(b"same-origin" | b"none") => return false,
        Some(b"cross-site") => return true,
        _ => {}
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|text| text.parse::<Uri>().ok());
    !origin.is_some_and(|origin| client.host.as_deref().is_some_and(|host| is_origin_of(&origin, host)))
}

/// Whether an origin is the one of this `Host`. The host may stand behind a proxy
/// that ends TLS, so it compares no scheme. The port of `Host` is the default port
/// of the origin's scheme if it has none.
fn is_origin_of(origin: &Uri, host: &str) -> bool {
    let default_port = match origin.scheme_str() {
        Some("https") => 443,
        Some("http") => 80,
        _ => return false,
    };
    let Some(seen) = host.parse::<http::uri::Authority>().ok().filter(|seen| !seen.as_str().contains('@')) else {
        return false;
    };
    let name = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    origin.host().map(name) == Some(name(seen.host()))
        && origin.port_u16().unwrap_or(default_port) == seen.port_u16().unwrap_or(default_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn is_refused(host: &str, headers: &[(&'static str, &str)]) -> bool {
        let client = Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST), secure: false, host: Some(host.to_owned()) };
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        is_forbidden(&Method::POST, &headers, &client)
    }

    #[test]
    fn the_origin_of_the_page_is_compared_without_regard_to_its_spelling() {
        for (host, origin) in [
            ("shop.example", "https://shop.example"),
            ("shop.example", "http://shop.example"),
            ("shop.example:443", "https://shop.example"),
            ("shop.example", "https://shop.example:443"),
            ("shop.example:80", "http://shop.example"),
            ("SHOP.example", "https://shop.EXAMPLE"),
            ("shop.example.", "https://shop.example"),
            ("shop.example", "https://shop.example."),
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
        ] {
            assert!(!is_refused(host, &[("origin", origin)]), "{host} {origin}");
        }
        for (host, origin) in [
            ("shop.example", "https://evil.example"),
            ("shop.example", "https://shop.example.evil.example"),
            ("shop.example", "https://shop.example:8443"),
            ("shop.example:8080", "http://shop.example"),
            ("shop.example:80", "https://shop.example"),
            ("shop.example", "null"),
            ("shop.example", "shop.example"),
            ("shop.example", "file://shop.example"),
            ("shop.example", ""),
            ("evil@shop.example", "https://shop.example"),
            ("", "https://shop.example"),
        ] {
            assert!(is_refused(host, &[("origin", origin)]), "{host} {origin}");
        }
    }

    #[test]
    fn a_browser_that_knows_the_site_is_believed() {
        let own = ("origin", "https://shop.example");
        let foreign = ("origin", "https://evil.example");
        for (site, origin, refused) in [
            ("same-origin", foreign, false),
            ("same-origin", ("origin", "null"), false),
            ("none", foreign, false),
            ("cross-site", own, true),
            ("same-site", foreign, true),
            ("same-site", own, false),
            ("Same-Origin", foreign, true),
        ] {
            assert_eq!(is_refused("shop.example", &[("sec-fetch-site", site), origin]), refused, "{site} {origin:?}");
        }
        assert!(is_refused("shop.example", &[("sec-fetch-site", "cross-site")]));
        assert!(!is_refused("shop.example", &[]));
    }

    #[test]
    fn only_changes_are_refused() {
        let client = Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST), secure: false, host: None };
        let headers = [("sec-fetch-site".parse().unwrap(), "cross-site".parse().unwrap())].into_iter().collect();
        for (method, forbidden) in
            [("GET", false), ("HEAD", false), ("OPTIONS", false), ("POST", true), ("DELETE", true)]
        {
            assert_eq!(is_forbidden(&method.parse().unwrap(), &headers, &client), forbidden, "{method}");
        }
    }
}
