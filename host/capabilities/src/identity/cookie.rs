//! The session cookie of requests and responses.

use http::{HeaderMap, header};
use std::time::Duration;

/// The name of the session cookie.
pub const NAME: &str = "session";

/// The token in the session cookie of a request. The first cookie counts if a client
/// sends several.
pub(super) fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == NAME)
        .map(|(_, token)| token)
}

/// The value of `set-cookie` that gives a token to the client.
pub(super) fn set(token: &str, age: Duration, secure: bool) -> String {
    let seconds = age.as_secs();
    let secure = if secure { "; Secure" } else { "" };
    format!("{NAME}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// The value of `set-cookie` that removes the cookie from the client.
pub(super) fn clear(secure: bool) -> String {
    set("", Duration::ZERO, secure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(cookies: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(header::COOKIE, cookie.parse().unwrap());
        }
        session_token(&headers).map(str::to_owned)
    }

    #[test]
    fn the_token_is_found_among_other_cookies() {
        assert_eq!(token(&["a=b; session=x.y.z; c=d"]).unwrap(), "x.y.z");
        assert_eq!(token(&["a=b", "session=x"]).unwrap(), "x");
        assert_eq!(token(&["session=a=b"]).unwrap(), "a=b");
        assert_eq!(token(&["xsession=x; sessions=y", "rubbish"]), None);
        assert_eq!(token(&[]), None);
    }

    #[test]
    fn the_cookie_has_its_attributes() {
        assert_eq!(
            set("t", Duration::from_secs(60), true),
            "session=t; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(clear(false), "session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
