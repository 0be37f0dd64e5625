//! Requests to other plugins, `http://NAME.plugin/path`. This module decides
//! whether a plugin may call another one, and what passes from one to the other.

use super::Error;
use crate::{
    outbound::{OutboundClient, SendError, allowed_headers, append_chunk},
    plugin_calls::{Origin, PluginBody, PluginCall},
};
use bytes::Bytes;
use host_base::byte_budget::HeldBytes;
use http::{HeaderName, Method, Request, Response, Uri, header, request::Parts, uri::Scheme};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::body::Body as _;

/// The largest number of calls in a chain of plugins that call each other.
const MAX_DEPTH: u8 = 4;
/// The domain of all plugins.
const DOMAIN: &str = ".plugin";

/// The plugin that a URL names. None if it names another host.
///
/// # Errors
/// It names a plugin in another spelling.
pub(super) fn plugin_of(uri: &Uri) -> Result<Option<&str>, Error> {
    let host = uri.host().unwrap_or_default();
    if !host.trim_end_matches('.').to_ascii_lowercase().ends_with(DOMAIN) {
        return Ok(None);
    }
    let is_plain = uri.scheme() == Some(&Scheme::HTTP) && uri.authority().is_some_and(|all| all.as_str() == host);
    match host.strip_suffix(DOMAIN).filter(|name| is_plain && is_name(name)) {
        Some(name) => Ok(Some(name)),
        None => Err(Error::Invalid("the address of a plugin is http://NAME.plugin/path".to_owned())),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Lets another plugin answer a request of this client, before the deadline of the
/// origin.
pub(super) async fn call(
    client: &OutboundClient,
    origin: Origin,
    callee: String,
    parts: Parts,
    body: Vec<u8>,
) -> Result<Response<PluginBody>, Error> {
    client.check_plugin(&callee).map_err(Error::Denied)?;
    if parts.method == Method::CONNECT {
        return Err(Error::Invalid("the method is CONNECT".to_owned()));
    }
    if origin.depth >= MAX_DEPTH {
        return Err(Error::TooDeep);
    }
    let starting = || Error::Unreachable("the host is starting".to_owned());
    let plugins = client.plugin_caller().ok_or_else(starting)?;
    let origin = Origin { depth: origin.depth + 1, ..origin };
    let caller = client.component().clone();
    plugins.call(PluginCall { caller, callee, request: passed_on(parts, body), origin }).await
}

/// Reads a whole body and counts its bytes.
///
/// # Errors
/// It is larger than the limit or than the free memory, or it breaks off.
pub(super) async fn read<E>(
    mut body: UnsyncBoxBody<Bytes, E>,
    limit_bytes: usize,
    held: &mut HeldBytes,
) -> Result<Vec<u8>, SendError> {
    if let Some(bytes) = body.size_hint().exact().filter(|bytes| *bytes > limit_bytes as u64) {
        return Err(SendError::ResponseBody { announced_bytes: Some(bytes), limit_bytes });
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(chunk) = frame.map_err(|_| SendError::Incomplete)?.into_data() {
            append_chunk(&mut bytes, &chunk, limit_bytes, held)?;
        }
    }
    Ok(bytes)
}

/// Headers that a plugin may not write in the name of a visitor or of the host.
static NOT_PASSED_ON: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::FORWARDED,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-principal-email"),
    HeaderName::from_static("x-principal-id"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-request-id"),
];

fn passed_on(parts: Parts, body: Vec<u8>) -> Request<Vec<u8>> {
    let mut request = Request::from_parts(parts, body);
    let headers = allowed_headers(std::mem::take(request.headers_mut()));
    let is_forged = |name: &HeaderName| NOT_PASSED_ON.contains(name) || name.as_str().starts_with("x-forwarded");
    let kept = headers.iter().filter(|(name, _)| !is_forged(name));
    *request.headers_mut() = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(url: &str) -> Result<Option<String>, Error> {
        plugin_of(&url.parse().unwrap()).map(|name| name.map(str::to_owned))
    }

    #[test]
    fn a_plugin_has_one_spelling() {
        for (url, name) in [
            ("http://things.plugin/a?b", Some("things")),
            ("http://my-things-2.plugin", Some("my-things-2")),
            ("http://plugin/", None),
            ("http://things.plugins/", None),
            ("http://things.plugin.example.com/", None),
            ("http://example.com/http://things.plugin/", None),
        ] {
            assert_eq!(named(url).unwrap().as_deref(), name, "{url}");
        }
        for url in [
            "https://things.plugin/",
            "http://things.plugin:80/",
            "http://things.plugin:8080/",
            "http://user@things.plugin/",
            "http://Things.plugin/",
            "http://things.PLUGIN/",
            "http://things.plugin./",
            "http://.plugin/",
            "http://a.things.plugin/",
            "http://thin_gs.plugin/",
        ] {
            assert!(matches!(named(url), Err(Error::Invalid(_))), "{url}");
        }
    }

    #[test]
    fn what_belongs_to_the_visitor_or_the_host_is_not_passed_on() {
        let mut request = Request::new(());
        for name in ["accept", "cookie", "authorization", "x-forwarded-for", "x-forwarded", "host", "x-real-ip"] {
            request.headers_mut().append(name, "1".parse().unwrap());
        }
        let (parts, ()) = request.into_parts();
        let passed = passed_on(parts, Vec::new());
        assert_eq!(passed.headers().keys().collect::<Vec<_>>(), ["accept"]);
    }
}
