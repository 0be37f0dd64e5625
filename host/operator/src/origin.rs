//! Browsers and the operator listener.
//!
//! A page of any site can let a visitor's browser send requests to an address on
//! the visitor's own machine or network. If the page's name leads to that address
//! after a while (DNS rebinding), the browser even shows it the answers. So the
//! listener answers only requests that name it by an address, a loopback name or a
//! name of the settings, and no request that a page of another site caused. An
//! address as `Host` is harmless, because no name led there.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use host_http::error::Problem;
use http::{HeaderMap, Method, StatusCode, Uri, header, uri::Authority};
use std::{net::IpAddr, sync::Arc};

/// The names under which clients reach the listener, in small letters.
pub(super) type HostNames = Arc<[String]>;

/// Refuses requests of other sites, before anything else.
pub(super) async fn refuse_other_sites(State(names): State<HostNames>, request: Request, next: Next) -> Response {
    match check(request.method(), request.uri(), request.headers(), &names) {
        Ok(()) => next.run(request).await,
        Err(reason) => {
            metrics::counter!("operator_foreign_requests_total").increment(1);
            Problem::new(StatusCode::FORBIDDEN, reason).into_response()
        }
    }
}

fn check(method: &Method, uri: &Uri, headers: &HeaderMap, names: &[String]) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let host = hosts.next();
    let is_known = |host: &str| host.parse().is_ok_and(|authority| is_own(&authority, names));
    if hosts.next().is_some()
        || host.is_some_and(|host| !is_known(host))
        || uri.authority().is_some_and(|authority| !is_own(authority, names))
    {
        return Err("This listener is not known under this host name; an operator can add it to operator.hosts");
    }
    let is_own_page = |origin: &str| {
        let authority = origin.parse::<Uri>().ok().and_then(|uri| uri.scheme().and(uri.authority()).cloned());
        authority.is_some_and(|authority| host.is_some_and(|host| authority.as_str().eq_ignore_ascii_case(host)))
    };
    if headers.get_all(header::ORIGIN).iter().any(|origin| !origin.to_str().is_ok_and(is_own_page)) {
        return Err("Requests from another site are not accepted");
    }
    let is = |name: &str, values: &[&str]| headers.get(name).is_some_and(|value| values.iter().any(|one| value == one));
    // A person may follow a link to this listener.
    let is_link = is("sec-fetch-mode", &["navigate"]) && is("sec-fetch-dest", &["document"]) && method == Method::GET;
    if is("sec-fetch-site", &["cross-site", "same-site"]) && !is_link {
        return Err("Requests from another site are not accepted");
    }
    Ok(())
}

/// Whether a request may name the listener so.
fn is_own(authority: &Authority, names: &[String]) -> bool {
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    literal.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost") || names.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(host: &str, more: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        for (name, value) in more {
            headers.append(*name, value.parse().unwrap());
        }
        check(&Method::GET, &Uri::from_static("/metrics"), &headers, &["operators.example.com".to_owned()]).is_ok()
    }

    #[test]
    fn addresses_loopback_names_and_names_of_the_settings_are_known() {
        for host in [
            "127.0.0.1:8081",
            "10.1.2.3",
            "[::1]:8081",
            "[fd00::17]",
            "localhost:8081",
            "LocalHost.",
            "a.localhost:1",
            "Operators.Example.com:8081",
            "operators.example.com.",
        ] {
            assert!(allows(host, &[]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8081",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "xlocalhost",
            "evil.operators.example.com",
            "127.0.0.1@evil.example",
            "evil@127.0.0.1",
            "0x7f.1",
            "[::1",
            "",
            " ",
            ":8081",
        ] {
            assert!(!allows(host, &[]), "{host:?}");
        }
    }

    #[test]
    fn programs_without_a_host_are_no_browsers_and_one_request_names_one_host() {
        assert!(check(&Method::GET, &Uri::from_static("/readyz"), &HeaderMap::new(), &[]).is_ok());
        let absolute = Uri::from_static("http://evil.example/metrics");
        assert!(check(&Method::GET, &absolute, &HeaderMap::new(), &[]).is_err());
        assert!(!allows("127.0.0.1", &[("host", "evil.example")]));
    }

    #[test]
    fn pages_of_other_sites_send_no_requests() {
        let host = "127.0.0.1:8081";
        for origin in [
            "http://evil.example",
            "https://127.0.0.1",
            "http://127.0.0.1:9999",
            "http://localhost:8081",
            "null",
            "",
            "127.0.0.1:8081",
            "http://evil.example@127.0.0.1:8081",
        ] {
            assert!(!allows(host, &[("origin", origin)]), "{origin:?}");
        }
        assert!(allows(host, &[("origin", "http://127.0.0.1:8081")]));
        assert!(!allows(host, &[("origin", "http://127.0.0.1:8081"), ("origin", "http://evil.example")]));
        assert!(!allows(host, &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]));
        assert!(!allows(host, &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate")]));
        assert!(!allows(
            host,
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]
        ));
        let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert!(allows(host, &link));
        assert!(allows(host, &[("sec-fetch-site", "same-origin")]));
    }
}
