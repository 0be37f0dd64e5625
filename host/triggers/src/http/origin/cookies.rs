//! Cookies of a plugin's answers.

use host_capabilities::identity::{IssuedCookies, SECURE_SESSION_COOKIE, SESSION_COOKIE};
use http::HeaderValue;

/// Checks a value of `set-cookie`.
///
/// A session cookie passes if the host issued it for this answer. A plugin that
/// owns the origin may set others. A plugin without this right sets none: the host
/// shows no component a cookie, and pages in a sandbox have none, so it loses
/// nothing. A cookie of a plugin could hide the session cookie, push it out of the
/// browser's store, or reach other hosts by its domain.
pub(super) fn check(
    value: &HeaderValue,
    issued: Option<&IssuedCookies>,
    owns_origin: bool,
) -> Result<(), &'static str> {
    if issued.is_some_and(|issued| issued.contains(value.as_bytes())) {
        return Ok(());
    }
    if !owns_origin {
        return Err("only a plugin with the entry same-origin may set cookies");
    }
    let text = value.to_str().map_err(|_| "a cookie must be of visible characters")?;
    let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
    // A browser sends a cookie without a name as its value alone, which may look
    // like any other cookie.
    let name = pair.split_once('=').map(|(name, _)| name.trim()).filter(|name| !name.is_empty());
    let name = name.ok_or("a cookie must have a name")?;
    if !name.bytes().all(is_token) {
        return Err("the name of a cookie must be a token");
    }
    if [SESSION_COOKIE, SECURE_SESSION_COOKIE].iter().any(|session| name.eq_ignore_ascii_case(session)) {
        return Err("the host did not issue this session for this answer");
    }
    let is_domain = |attribute: &str| {
        let name = attribute.split_once('=').map_or(attribute, |(name, _)| name);
        name.trim().eq_ignore_ascii_case("domain")
    };
    match attributes.split(';').any(is_domain) {
        true => Err("a cookie must belong to this host alone"),
        false => Ok(()),
    }
}

/// A character of a token, see RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
