//! The name of the host that a request is for, and what the client expects.
//!
//! A request has exactly one such name, see RFC 9112, section 3.2, and RFC 9113,
//! section 8.3.1. Whatever comes after this module finds the name in the header
//! `Host` and in no other place.

use crate::error::Refusal;
use axum::extract::Request;
use http::{
    HeaderMap, HeaderValue, Uri, Version, header,
    uri::{PathAndQuery, Scheme},
};
use std::net::Ipv6Addr;

const NOT_ONE_HOST: Refusal = Refusal::Malformed("The request needs exactly one Host");
const INVALID_HOST: Refusal = Refusal::Malformed("The Host is not valid");
const OTHER_HOST: Refusal = Refusal::Malformed("The Host differs from :authority");
const INVALID_TARGET: Refusal = Refusal::Malformed("The request target is not valid");

/// The longest name of a host in the domain name system, in characters.
const NAME_BYTES: usize = 253;

/// Checks the name of the host and the expectation, and leaves the name in `Host` alone.
///
/// # Errors
/// The answer for the client.
pub(crate) fn settle(request: &mut Request) -> Result<(), Refusal> {
    let version = request.version();
    let sent = sent_host(request.headers(), version)?;
    let (scheme, target) = (request.uri().scheme().cloned(), request.uri().authority().cloned());
    if version > Version::HTTP_10 {
        check_expectation(request.headers())?;
    }
    let Some(target) = target else {
        return if version < Version::HTTP_2 || sent { Ok(()) } else { Err(NOT_ONE_HOST) };
    };
    if !scheme.is_none_or(|scheme| scheme == Scheme::HTTP || scheme == Scheme::HTTPS) {
        return Err(INVALID_TARGET);
    }
    if !is_valid(target.as_str()) {
        return Err(INVALID_HOST);
    }
    let host = HeaderValue::from_str(target.as_str()).map_err(|_| INVALID_HOST)?;
    let other = request.headers_mut().insert(header::HOST, host);
    // The target of HTTP/1.1 counts, whatever `Host` says, see RFC 9112, section 3.2.2.
    let differs = |other: HeaderValue| !other.as_bytes().eq_ignore_ascii_case(target.as_str().as_bytes());
    if version >= Version::HTTP_2 && other.is_some_and(differs) {
        return Err(OTHER_HOST);
    }
    if let Some(path) = request.uri().path_and_query() {
        *request.uri_mut() = origin_form(path.clone());
    }
    Ok(())
}

/// Whether the client waits for `100 Continue` before it sends the body.
pub fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Whether there is a `Host`. There is never more than one, and it is valid.
fn sent_host(headers: &HeaderMap, version: Version) -> Result<bool, Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_11 => Err(NOT_ONE_HOST),
        (None, _) => Ok(false),
        (Some(_), Some(_)) => Err(NOT_ONE_HOST),
        (Some(host), None) if host.to_str().is_ok_and(is_valid) => Ok(true),
        (Some(_), None) => Err(INVALID_HOST),
    }
}

fn check_expectation(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut expectations = headers.get_all(header::EXPECT).iter();
    let known = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if expectations.all(known) { Ok(()) } else { Err(Refusal::UnknownExpectation) }
}

/// A name or an address, with a port or without one. RFC 3986 allows more characters,
/// and no name or address has them.
fn is_valid(host: &str) -> bool {
    let is_port = |port: &str| port.is_empty() || (port.len() <= 5 && port.parse::<u16>().is_ok() && is_number(port));
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_name = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(is_of_a_name),
    };
    is_name && is_port(port)
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn origin_form(path: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    // The path of `http://shop.example` is empty, and means `/`.
    parts.path_and_query = Some(if path.as_str() == "/" { PathAndQuery::from_static("/") } else { path });
    Uri::from_parts(parts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn settled(version: Version, uri: &str, headers: &[(&str, &str)]) -> Result<(String, String), Refusal> {
        let mut request = http::Request::builder().version(version).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        settle(&mut request)?;
        let host = request.headers().get(header::HOST).map_or("", |host| host.to_str().unwrap());
        Ok((host.to_owned(), request.uri().to_string()))
    }

    #[test]
    fn a_request_of_http_1_1_has_exactly_one_valid_host() {
        for host in
            ["shop.example", "shop.example:8080", "SHOP.example.", "a_b", "127.0.0.1:1", "[::1]", "[::1]:80", "a:"]
        {
            assert_eq!(settled(Version::HTTP_11, "/x?y", &[("host", host)]), Ok((host.to_owned(), "/x?y".to_owned())));
        }
        let long = "a".repeat(254);
        for host in [
            "", ":80", "a b", "a,b", "a/b", "a?b", "a@b", "a:b", "a:+1", "a:65536", "a:000080", "::1", "[::1", "[a]",
            "a:1:2", "[::1]x", "a#", "a%00", "\"a\"", &long,
        ] {
            assert_eq!(settled(Version::HTTP_11, "/", &[("host", host)]), Err(INVALID_HOST), "{host}");
        }
        assert_eq!(settled(Version::HTTP_11, "/", &[]), Err(NOT_ONE_HOST));
        assert_eq!(settled(Version::HTTP_11, "/", &[("host", "a"), ("host", "a")]), Err(NOT_ONE_HOST));
        assert_eq!(settled(Version::HTTP_10, "/", &[]), Ok((String::new(), "/".to_owned())));
        assert_eq!(settled(Version::HTTP_10, "/", &[("host", "a"), ("host", "b")]), Err(NOT_ONE_HOST));
    }

    #[test]
    fn the_host_of_an_absolute_target_counts() {
        let settled = |uri, headers: &[(&str, &str)]| settled(Version::HTTP_11, uri, headers);
        let other = [("host", "other.example")];
        let expected = ("shop.example:81".to_owned(), "/x?y".to_owned());
        assert_eq!(settled("http://shop.example:81/x?y", &other), Ok(expected.clone()));
        assert_eq!(settled("https://shop.example:81/x?y", &other), Ok(expected));
        assert_eq!(settled("http://shop.example", &other), Ok(("shop.example".to_owned(), "/".to_owned())));
        assert_eq!(settled("http://shop.example/", &[]), Err(NOT_ONE_HOST));
        assert_eq!(settled("http://shop.example/", &[("host", "a b")]), Err(INVALID_HOST));
        assert_eq!(settled("http://user@shop.example/", &other), Err(INVALID_HOST));
        assert_eq!(settled("ftp://shop.example/", &other), Err(INVALID_TARGET));
    }

    #[test]
    fn the_authority_of_http_2_is_the_host() {
        let settled = |uri, headers: &[(&str, &str)]| settled(Version::HTTP_2, uri, headers);
        let expected = ("shop.example".to_owned(), "/x".to_owned());
        assert_eq!(settled("http://shop.example/x", &[]), Ok(expected.clone()));
        assert_eq!(settled("http://shop.example/x", &[("host", "SHOP.example")]), Ok(expected.clone()));
        assert_eq!(settled("/x", &[("host", "shop.example")]), Ok(expected));
        assert_eq!(settled("http://shop.example/x", &[("host", "evil.example")]), Err(OTHER_HOST));
        assert_eq!(settled("http://shop.example/x", &[("host", "a"), ("host", "b")]), Err(NOT_ONE_HOST));
        assert_eq!(settled("http://u@shop.example/x", &[]), Err(INVALID_HOST));
        assert_eq!(settled("/x", &[]), Err(NOT_ONE_HOST));
    }

    #[test]
    fn an_unknown_expectation_is_refused() {
        for (version, expect, expected) in [
            (Version::HTTP_11, &["100-continue"][..], None),
            (Version::HTTP_11, &["100-Continue"], None),
            (Version::HTTP_11, &["other"], Some(Refusal::UnknownExpectation)),
            (Version::HTTP_11, &["100-continue, other"], Some(Refusal::UnknownExpectation)),
            (Version::HTTP_11, &["100-continue", "other"], Some(Refusal::UnknownExpectation)),
            (Version::HTTP_11, &[""], Some(Refusal::UnknownExpectation)),
            (Version::HTTP_10, &["other"], None),
        ] {
            let mut headers = vec![("host", "a")];
            headers.extend(expect.iter().map(|value| ("expect", *value)));
            assert_eq!(settled(version, "/", &headers).err(), expected, "{version:?} {expect:?}");
        }
    }
}
