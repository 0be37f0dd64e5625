//! The session cookie of requests and responses.

use http::{HeaderMap, header};
use std::time::Duration;

/// The name of the session cookie for a site without TLS.
pub const NAME: &str = "session";

/// The name for a site with TLS. A browser accepts a cookie of this name from this
/// host alone, for all paths and over TLS, see RFC 6265bis, section 4.1.3.2.
pub const SECURE_NAME: &str = "__Host-session";

/// The most cookies of the session's name that count in one request.
const MAX_TOKENS: usize = 8;

fn name(secure: bool) -> &'static str {
    if secure { SECURE_NAME } else { NAME }
}

/// The tokens in the session cookies of a request. A client sends several cookies
/// of one name if another application on the same host name has set one.
pub(super) fn session_tokens(headers: &HeaderMap, secure: bool) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        // A cookie that is no text hides no other one.
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='))
        .filter(move |(found, _)| *found == name(secure))
        .map(|(_, token)| token)
        .take(MAX_TOKENS)
}

/// The value of `set-cookie` that gives a token to the client.
pub(super) fn set(token: &str, age: Duration, secure: bool) -> String {
    let (name, seconds) = (name(secure), age.as_secs());
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// The value of `set-cookie` that removes the cookie from the client.
pub(super) fn clear(secure: bool) -> String {
    set("", Duration::ZERO, secure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens_of(cookies: &[&[u8]], secure: bool) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(header::COOKIE, http::HeaderValue::from_bytes(cookie).unwrap());
        }
        session_tokens(&headers, secure).map(str::to_owned).collect()
    }

    fn tokens(cookies: &[&str], secure: bool) -> Vec<String> {
        let cookies: Vec<_> = cookies.iter().map(|cookie| cookie.as_bytes()).collect();
        tokens_of(&cookies, secure)
    }

    #[test]
    fn a_cookie_that_is_no_text_hides_no_token() {
        assert_eq!(tokens(&["theme=\u{e9}; session=x"], false), ["x"]);
        for cookies in
            [&b"theme=\xff; session=x"[..], b"\xff;session=x", b"session=x; \xe9=\xe9", b"session=\xff; session=x"]
        {
            assert_eq!(tokens_of(&[cookies], false), ["x"], "{}", cookies.escape_ascii());
        }
    }

    #[test]
    fn every_token_is_found_among_other_cookies() {
        assert_eq!(tokens(&["a=b; session=x.y.z; c=d"], false), ["x.y.z"]);
        assert_eq!(tokens(&["a=b", "session=x"], false), ["x"]);
        assert_eq!(tokens(&["session=a=b"], false), ["a=b"]);
        assert_eq!(tokens(&["session=; session=x", "session=y"], false), ["", "x", "y"]);
        assert_eq!(tokens(&["xsession=x; sessions=y; Session=z", "rubbish"], false), [""; 0]);
        assert_eq!(tokens(&[], false), [""; 0]);
        assert_eq!(tokens(&[&"session=x; ".repeat(100)], false).len(), MAX_TOKENS);
    }

    #[test]
    fn a_site_with_tls_takes_the_cookie_that_only_it_can_set() {
        assert_eq!(tokens(&["session=x; __Host-session=y"], true), ["y"]);
        assert_eq!(tokens(&["session=x; __Host-session=y"], false), ["x"]);
    }

    #[test]
    fn the_cookie_has_its_attributes() {
        assert_eq!(
            set("t", Duration::from_secs(60), true),
            "__Host-session=t; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(clear(false), "session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
