//! The origin belongs to the host, and a plugin shares it. A browser
//! applies some headers of one answer to all pages of the origin, and lets the
//! scripts of one page act with the visitor's session. So without the entry
//! `same_origin` in its policy, a plugin's answers act on themselves alone.

mod cookies;
mod headers;

use super::cross_site::FETCH_SITE;
use host_capabilities::identity::IssuedCookies;
use host_config::plugins::Grant;
use host_plugin::Revision;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Gives a page an origin of its own, which has no cookies and no access to the
/// other pages of the origin, see CSP level 3, section 6.3.2. It adds to the policies of
/// the answer: a browser enforces all of them.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox allow-downloads allow-forms allow-popups allow-scripts");

/// Whether a plugin may act on the whole origin.
fn owns_origin(revision: &Revision) -> bool {
    revision.policy.same_origin
}

/// Whether a plugin learns who the visitor is.
pub(super) fn knows_visitor(revision: &Revision) -> bool {
    revision.policy.visitor
}

/// Whether the host can issue session cookies to a plugin.
pub(super) fn may_issue_sessions(revision: &Revision) -> bool {
    revision.policy.grants.contains(&Grant::Identity)
}

/// Drops the headers of an answer that the plugin may not set, and puts its pages
/// into a sandbox. The sandbox is on answers of every type, so that it does not
/// depend on a browser's idea of the type.
pub(super) fn guard(revision: &Revision, issued: Option<&IssuedCookies>, answer: &mut HeaderMap) {
    let owns_origin = owns_origin(revision);
    let drop = |name: &HeaderName, reason: &str| revision.note_dropped_header(name.as_str(), reason);
    guard_headers(owns_origin, issued, answer, drop);
}

fn guard_headers(
    owns_origin: bool,
    issued: Option<&IssuedCookies>,
    answer: &mut HeaderMap,
    mut dropped: impl FnMut(&HeaderName, &str),
) {
    if answer.contains_key(header::SET_COOKIE) {
        keep_values(answer, &header::SET_COOKIE, |cookie| cookies::check(cookie, issued, owns_origin), &mut dropped);
    }
    if owns_origin {
        return;
    }
    let is_refused = |(name, value): &(&HeaderName, &HeaderValue)| {
        **name != header::SET_COOKIE && headers::check(name, value).is_err()
    };
    let refused: Vec<HeaderName> = answer.iter().filter(is_refused).map(|(name, _)| name.clone()).collect();
    for name in refused {
        keep_values(answer, &name, |value| headers::check(&name, value), &mut dropped);
    }
    answer.append(header::CONTENT_SECURITY_POLICY, SANDBOX);
}

/// Keeps the values of a header that pass a check.
fn keep_values(
    answer: &mut HeaderMap,
    name: &HeaderName,
    check: impl Fn(&HeaderValue) -> Result<(), &'static str>,
    dropped: &mut impl FnMut(&HeaderName, &str),
) {
    if answer.get_all(name).iter().all(|value| check(value).is_ok()) {
        return;
    }
    let values: Vec<HeaderValue> = answer.get_all(name).iter().cloned().collect();
    answer.remove(name);
    for value in values {
        match check(&value) {
            Ok(()) => {
                answer.append(name, value);
            }
            Err(reason) => dropped(name, reason),
        }
    }
}

/// Requests for a script that would run outside of the sandbox: of a service
/// worker, which answers requests of the whole origin, or of a page that is not in
/// a sandbox. A page in a sandbox is of another site for a browser.
pub(super) fn is_foreign_script(revision: &Revision, headers: &HeaderMap) -> bool {
    !owns_origin(revision) && asks_for_script(headers)
}

/// The destinations whose answers run as scripts, see the Fetch standard, section
/// 2.2.5, `script-like`, and XSLT.
const SCRIPTS: [&str; 7] =
    ["audioworklet", "paintworklet", "script", "serviceworker", "sharedworker", "worker", "xslt"];

const FETCH_DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// A browser sends it with a request for the script of a service worker.
const SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");

fn asks_for_script(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let destination = text(FETCH_DESTINATION);
    headers.contains_key(SERVICE_WORKER)
        || destination == "serviceworker"
        || (SCRIPTS.contains(&destination) && text(FETCH_SITE) == "same-origin")
}

#[cfg(test)]
mod tests;
