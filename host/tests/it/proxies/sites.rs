//! Cookies and requests of other sites, when the visitor uses TLS with the proxy alone.

use super::{Kind, Reply, ReverseProxy, SITE, Setup, behind_proxy};
use crate::support::{Client, PASSWORD, unique};
use http::Method;
use serde_json::{Value, json};

fn cookie(reply: &Reply) -> &str {
    reply.header("set-cookie").unwrap_or_else(|| panic!("{reply:?}"))
}

/// Signs up, signs in again and signs out, and looks at each cookie.
async fn has_cookies_of(mut visitor: Client, tls: bool) {
    let reply = visitor.sign_up(&unique("anna")).await;
    let email = visitor.email.clone();
    let name = if tls { "__Host-session=" } else { "session=" };
    for reply in [&reply, &visitor.sign_in(&email).await] {
        assert!(cookie(reply).starts_with(name), "{reply:?}");
        assert_eq!(cookie(reply).to_ascii_lowercase().contains("; secure"), tls, "{reply:?}");
        assert_eq!(reply.header("cache-control"), Some("private, no-store"));
    }
    assert_eq!(visitor.current_user().await["email"], email.as_str());
    let out = visitor.post("/api/users/signout", json!({})).await;
    assert!(cookie(&out).starts_with(name), "{out:?}");
    assert_eq!(visitor.current_user().await, Value::Null);
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn the_cookie_belongs_to_this_host_name_alone_behind_a_proxy_with_tls() {
    let host = behind_proxy().start().await;
    let mut inner = None;
    for kind in Kind::BOTH {
        let proxy = ReverseProxy::before(kind, &host).await;
        for tls in [false, true] {
            has_cookies_of(proxy.visitor(tls), tls).await;
            // The proxy says what it saw, after what the visitor claims.
            let (claimed, name) = if tls { ("http", "x-forwarded-proto") } else { ("https", "x-forwarded-proto") };
            has_cookies_of(proxy.visitor(tls).with_header(name, claimed), tls).await;
        }
        if let Some(inner) = inner.replace(proxy) {
            let outer = ReverseProxy::before_proxy(kind, &inner).await;
            for tls in [false, true] {
                has_cookies_of(outer.visitor(tls), tls).await;
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn a_proxy_that_the_host_does_not_trust_changes_no_cookie() {
    let host = Setup::new().start().await;
    for kind in Kind::BOTH {
        let proxy = ReverseProxy::before(kind, &host).await;
        has_cookies_of(proxy.visitor(true).with_header("x-forwarded-proto", "https"), false).await;
    }
}

/// The statuses of a sign-in from pages with these headers.
async fn sign_in(visitor: &Client, email: &str, headers: &[(&str, String)]) -> u16 {
    let page = headers.iter().fold(visitor.clone(), |page, (name, value)| page.with_header(name, value));
    let body = json!({ "email": email, "password": PASSWORD });
    page.send(Method::POST, "/api/users/signin", Some(body)).await.status
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn pages_of_this_site_pass_and_pages_of_others_do_not() {
    let host = behind_proxy().start().await;
    let anna = host.user("anna").await;
    let mut inner = None;
    for kind in Kind::BOTH {
        let proxy = ReverseProxy::before(kind, &host).await;
        is_guarded(&proxy, &anna.email).await;
        if let Some(inner) = inner.replace(proxy) {
            is_guarded(&ReverseProxy::before_proxy(kind, &inner).await, &anna.email).await;
        }
    }
}

async fn is_guarded(proxy: &ReverseProxy, email: &str) {
    for tls in [false, true] {
        let (visitor, own, other) = (proxy.visitor(tls), proxy.url(tls), proxy.url(!tls));
        let evil = || "https://evil.example".to_owned();
        for headers in [
            vec![],
            vec![("origin", own.clone())],
            vec![("origin", own.to_ascii_uppercase().replace("HTTPS:", "https:").replace("HTTP:", "http:"))],
            vec![("origin", "null".to_owned()), ("sec-fetch-site", "same-origin".to_owned())],
            vec![("origin", own.clone()), ("x-forwarded-host", "evil.example".to_owned())],
            vec![("origin", own.clone()), ("x-forwarded-host", format!("evil.example:1, {SITE}"))],
        ] {
            assert_eq!(sign_in(&visitor, email, &headers).await, 200, "{own}: {headers:?}");
        }
        for headers in [
            vec![("origin", evil())],
            vec![("origin", "null".to_owned())],
            vec![("origin", other.clone())],
            vec![("origin", format!("https://{SITE}"))],
            vec![("origin", own.clone()), ("sec-fetch-site", "cross-site".to_owned())],
            vec![("origin", evil()), ("x-forwarded-host", "evil.example".to_owned())],
            vec![("origin", evil()), ("x-forwarded-host", "evil.example, evil.example".to_owned())],
            vec![("origin", evil()), ("forwarded", "host=evil.example".to_owned())],
        ] {
            assert_eq!(sign_in(&visitor, email, &headers).await, 403, "{own}: {headers:?}");
        }
    }
}
