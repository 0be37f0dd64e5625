//! The pages with a stand-in for the API that answers with hostile texts.

mod many_plugins;

use super::with_console;
use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

/// Names, reasons and lines that try to become markup.
const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</code></td><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "</textarea><script>1</script>",
    "\u{202e}<b>\u{0}",
];

/// An API that answers every question with a value that contains this text.
fn api(hostile: &'static str, role: &'static str) -> Router {
    let text = hostile;
    let answer = move |request: Request| async move {
        let path = request.uri().path().to_owned();
        if request.headers().get("authorization").is_none_or(|token| token != "Bearer right") {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        if path.ends_with("/logs") {
            let line = json!({ "timestamp": text, "level": text, "message": text, text: text });
            return format!("data: {line}\n\n").into_response();
        }
        match answer(&path, text, role) {
            Some(value) => Json(value).into_response(),
            None => {
                (StatusCode::CONFLICT, Json(json!({ "errors": [{ "message": text, "field": text }] }))).into_response()
            }
        }
    };
    Router::new().fallback(answer)
}

fn plugin(text: &str) -> Value {
    json!({
        "name": text, "version": text, "revision": text, "digest": text, "size_bytes": 1, "status": text,
        "canary": { "revision": text, "percent": 10, "promote_at_ms": 1, "calls": 1, "errors": 1, "failures": 1 },
        "imports": [text], "exports": [text],
        "routes": [{ "path": text, "methods": [text], "private": true, "rate": text, "idempotent": true }], "subscribes": [text],
        "publishes": [text], "in_flight": 1, "calls": 1, "failures": 1, "recent": recent(), "last_failure": failure(text),
        "nearly_used": [{ "budget": text, "used": 9, "limit": 10 }],
        "config": { text: text }, "config_sources": { text: text }, "config_secrets": [], "config_set": { text: text }, "limits": { text: 1 },
        "limits_in_force": { text: { "value": 1, "source": text } }, "grants": [text], "http_hosts": [text], "calls_plugins": [text],
        "previous": text, "quarantined": text, "compared": [compared(text), compared(text)],
    })
}

fn compared(text: &str) -> Value {
    json!({
        "revision": text, "percent": 10, "calls": 1, "errors": 1, "failures": 1, "p50_us": 900, "p99_us": 1_800,
        "times": [{ "below_us": 1_024, "calls": 3 }, { "calls": 1 }],
    })
}

fn operation(text: &str) -> Value {
    json!({
        "kind": text, "plugin": text, "name": text, "id": text, "begun_ms": 1, "took_us": 900, "failure": text,
    })
}

fn trace(text: &str) -> Value {
    json!({
        "trace": text, "first": operation(text), "begun_ms": 1, "took_us": 900, "operations": 2, "failed": 1,
        "plugins": [text], "steps": [operation(text), operation(text)], "left_out": 1,
    })
}

fn recent() -> Value {
    json!({ "calls_per_second": 1.5, "error_percent": 2.5, "p50_us": 900, "p99_us": 1_800, "memory_bytes": 1, "calls": [1, 0, 3] })
}

fn failure(text: &str) -> Value {
    json!({
        "time_ms": 1, "revision": text, "call": text, "kind": text, "blame": text, "message": text, "id": text, "trace": text,
    })
}

fn history() -> Value {
    let slot = |calls: u64| json!({ "begin_ms": 1, "calls": calls, "errors": 1, "p50_us": 900, "p99_us": 1_800 });
    json!({ "slot_seconds": 10, "slots": [slot(1), slot(3)] })
}

fn verdict(text: &str) -> Value {
    json!({
        "plugin": text, "version": text, "revision": text, "against": text, "digest": text, "size_bytes": 1, "compile_ms": 1,
        "from_cache": false, "imports": [text], "exports": [text], "capabilities": { "wanted": [text], "new": [text] },
        "routes": { "added": [{ "method": text, "path": text }], "removed": [] }, "subscribes": { "added": [text], "removed": [text] },
        "from_now": [text], "publishes": { "added": [], "removed": [] },
        "types": [{ "interface": text, "item": text, "change": text, "compatible": false }],
        "schemas": [{ "subject": text, "place": text, "change": text, "compatible": false }],
        "migrations": [{ "name": text, "applied": false, "compatible": false, "problem": text }],
        "beyond_policy": [{ "asks": text, "command": text }], "compatible": false, "problems": [text],
    })
}

fn letter(text: &str) -> Value {
    json!({
        "id": text, "component": text, "kind": "event", "subject_id": text, "subject": text, "source": text, "time_ms": 1,
        "attempts": 1, "reason": text, "set_aside_ms": 1, "payload_bytes": 1, "payload": hex::encode(text), "traceparent": text,
    })
}

fn answer(path: &str, text: &str, role: &str) -> Option<Value> {
    Some(match path.split('/').skip(1).collect::<Vec<_>>().as_slice() {
        ["caller"] => json!({ "name": text, "role": role }),
        ["plugins"] => json!([plugin(text)]),
        ["plugins", _] => plugin(text),
        ["plugins", _, "failures"] => json!([failure(text)]),
        ["plugins", _, "history"] => history(),
        ["plugins", _, "tables"] => json!([{ "name": text, "rows": 3, "is_estimate": true, "bytes": 4_096 }]),
        ["plugins", _, "revisions"] => json!([{
            "revision": text, "version": text, "digest": text, "size_bytes": 1, "status": "staged", "source": text,
            "uploaded_ms": 1, "uploaded_by": text,
        }]),
        ["plugins", _, "revisions", _, "verdict"] => verdict(text),
        ["plugins", _, "policy"] => {
            json!({ "plugin": text, "version": 1, "policy": { "paths": [text], "lowest_version": text } })
        }
        ["dead-letters"] => json!([letter(text)]),
        ["dead-letters", _] => {
            let mut letter = letter(text);
            if role == "view" {
                letter["payload"] = Value::Null;
            }
            letter
        }
        ["events"] => json!([
            { "subject": text, "publishers": [text], "receivers": [{ "plugin": text, "backlog": null }] },
            { "subject": text, "publishers": [], "receivers": [] },
        ]),
        ["events", _] => json!({
            "subject": text, "publishers": [text], "receivers": [{ "plugin": text, "backlog": null }],
            "schemas": [{ "plugin": text, "revision": text, "schema": { "description": text }, "sample": { text: text } }],
        }),
        ["traces"] => json!([trace(text)]),
        ["traces", _] => trace(text),
        ["timers"] => json!([
            { "plugin": text, "status": text, "timers": { "set": 2, "due": 1, "overdue_ms": 1, "next_due_ms": 1 } },
            { "plugin": text, "status": text, "timers": null },
        ]),
        ["audit"] => json!([{
            "id": 1, "time_ms": 1, "actor": text, "action": text, "plugin": text, "revision": text, "outcome": text, "detail": text,
        }]),
        ["tokens"] => {
            json!([{ "id": text, "name": text, "role": "view", "plugins": [text], "created_ms": 1, "created_by": text }])
        }
        ["cluster"] => json!({
            "this": text,
            "hosts": [{ "id": text, "name": text, "version": text, "started_ms": 1, "seen_ms_ago": 1, "status": "lost",
                "plugins": { text: { "revision": text, "canary": [text, 5], "behind": text } } }],
            "lag": { text: { "outbox_ms": 1, "timers_ms": 1 } },
        }),
        _ => return None,
    })
}

async fn send(
    router: &Router,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (StatusCode, HeaderMap, String) {
    let request = headers
        .iter()
        .fold(Request::builder().method(method).uri(path), |request, (name, value)| request.header(*name, *value));
    let answer: Response = router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = to_bytes(body, 8 << 20).await.unwrap();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

const SIGNED_IN: (&str, &str) = ("cookie", "console=right");
const OWN_PAGE: (&str, &str) = ("origin", "http://127.0.0.1");

const PAGES: [&str; 25] = [
    "/console",
    "/console/upload",
    "/console/plugins/x",
    "/console/plugins/x/log",
    "/console/plugins/x/tables",
    "/console/plugins/x/settings",
    "/console/plugins/x/policy",
    "/console/plugins/x/do/remove",
    "/console/plugins/x/do/rollback",
    "/console/plugins/x/revisions/1",
    "/console/plugins/x/revisions/1/activate",
    "/console/plugins/x/revisions/1/activate?share=10",
    "/console/plugins/x/revisions/1/discard",
    "/console/dead-letters",
    "/console/dead-letters/x",
    "/console/events",
    "/console/events/x",
    "/console/live-events",
    "/console/timers",
    "/console/traces",
    "/console/traces/x",
    "/console/audit",
    "/console/tokens",
    "/console/routes",
    "/console/cluster",
];

/// The elements and attributes of a page, without its texts.
fn shape(page: &str) -> Vec<String> {
    let tags = page.split('<').skip(1).filter_map(|rest| {
        rest.split(|letter: char| !letter.is_alphanumeric() && letter != '/' && letter != '!').next()
    });
    tags.map(str::to_owned).collect()
}

#[tokio::test]
async fn hostile_texts_never_become_markup() {
    for role in ["view", "admin"] {
        let harmless = with_console(api("harmless", role));
        for text in HOSTILE {
            let hostile = with_console(api(text, role));
            for page in PAGES {
                let (status, _, expected) = send(&harmless, Method::GET, page, &[SIGNED_IN], "").await;
                let (hostile_status, _, shown) = send(&hostile, Method::GET, page, &[SIGNED_IN], "").await;
                assert_eq!((status, hostile_status), (StatusCode::OK, StatusCode::OK), "{page}");
                assert_eq!(shape(&shown), shape(&expected), "{page} with {text:?}");
                assert!(!shown.contains("href=\"javascript:"), "{page}");
                assert!(!text.contains('<') || !shown.contains(text), "{page} with {text:?}");
            }
        }
    }
}

#[tokio::test]
async fn hostile_refusals_and_addresses_never_become_markup() {
    for text in HOSTILE {
        let console = with_console(api(text, "admin"));
        let (status, _, page) =
            send(&console, Method::POST, "/console/plugins/x/do/pause", &[SIGNED_IN, OWN_PAGE], "").await;
        assert_eq!(status, StatusCode::CONFLICT, "{text}");
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x") && !page.contains("<svg/"), "{page}");
    }
    let console = with_console(api("harmless", "admin"));
    for path in [
        "/console/plugins/%3Cscript%3Ealert(1)%3C%2Fscript%3E/revisions/%22%3E%3Cb%3E/discard",
        "/console/sign-in?to=%22%3E%3Cb%3E",
        "/console/audit?actor=%22%3E%3Cb%3E",
        "/console/dead-letters?plugin=%22%3E%3Cb%3E",
        "/console/live-events?subject=%22%3E%3Cb%3E",
        "/console/plugins/x/log?level=%22%3E%3Cb%3E&text=%22%3E%3Cb%3E",
    ] {
        let (status, _, page) = send(&console, Method::GET, path, &[SIGNED_IN], "").await;
        assert!(status.is_success() && !page.contains("<script>alert") && !page.contains("\"><b>"), "{path}: {page}");
    }
}

#[tokio::test]
async fn a_change_needs_a_form_of_this_site_and_a_valid_token() {
    let console = with_console(api("harmless", "admin"));
    let change = "/console/plugins/x/do/pause";
    let (status, _, _) = send(&console, Method::POST, change, &[SIGNED_IN], "").await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a request without an origin");
    for cookie in ["", "console=wrong", "console=", "session=right", "console=right%0d%0a"] {
        let (status, headers, _) = send(&console, Method::POST, change, &[("cookie", cookie), OWN_PAGE], "").await;
        assert_eq!(
            (status, headers["location"].to_str().unwrap()),
            (StatusCode::SEE_OTHER, "/console/sign-in"),
            "{cookie}"
        );
    }
    let (status, _, _) = send(&console, Method::POST, change, &[SIGNED_IN, OWN_PAGE], "").await;
    assert_eq!(status, StatusCode::CONFLICT, "the answer of the API");
    let (status, headers, _) = send(&console, Method::GET, "/console/audit?before=3", &[], "").await;
    let expected = "/console/sign-in?to=%2Fconsole%2Faudit%3Fbefore%3D3";
    assert_eq!((status, headers["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, expected));
}

#[tokio::test]
async fn pages_offer_what_the_role_allows() {
    let page = async |role, path| {
        let console = with_console(api("harmless", role));
        send(&console, Method::GET, path, &[SIGNED_IN], "").await.2
    };
    for (path, offer) in [
        ("/console", "/console/upload"),
        ("/console/plugins/harmless", "/do/remove"),
        ("/console/plugins/harmless/revisions/1", "/activate"),
        ("/console/dead-letters", "/dead-letters/redeliver"),
        ("/console/dead-letters/x", "<pre"),
    ] {
        assert!(!page("view", path).await.contains(offer), "{path} offers {offer} to view");
        assert!(page("deploy", path).await.contains(offer), "{path} offers {offer} to deploy");
    }
    assert!(!page("deploy", "/console").await.contains("/console/tokens"));
    assert!(page("admin", "/console").await.contains("/console/tokens"));
    assert!(page("deploy", "/console/plugins/x/policy").await.contains("disabled"));
    assert!(!page("admin", "/console/plugins/x/policy").await.contains("disabled"));
}

#[tokio::test]
async fn pages_have_a_strict_policy_and_no_code_in_them() {
    let console = with_console(api("harmless", "admin"));
    for path in PAGES {
        let (_, headers, page) = send(&console, Method::GET, path, &[SIGNED_IN], "").await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(headers["cache-control"], "private, no-store", "{path}");
        assert!(!page.contains(" style=") && !page.contains(" onclick=") && !page.contains("<style"), "{path}");
        let scripts: Vec<_> = page.match_indices("<script").collect();
        assert_eq!(scripts.len(), 1, "{path}");
        assert!(!page.contains("http://") && !page.contains("https://"), "{path} loads nothing from elsewhere");
    }
}

#[tokio::test]
async fn the_filter_of_a_log_goes_to_its_stream() {
    let console = with_console(api("harmless", "view"));
    let path = "/console/plugins/x/log?level=warn&text=a%26b&other=1";
    let (_, _, page) = send(&console, Method::GET, path, &[SIGNED_IN], "").await;
    assert!(
        page.contains("data-log=\"/console/plugins/x/log/lines?last=500&amp;level=warn&amp;text=a%26b\""),
        "{page}"
    );
    assert!(page.contains("<option value=\"warn\" selected>") && page.contains("value=\"a&amp;b\""), "{page}");
}

#[tokio::test]
async fn browsers_are_led_to_the_console_and_programs_are_not() {
    let console = with_console(api("harmless", "admin"));
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let (status, headers, _) = send(&console, Method::GET, "/", &browser, "").await;
    assert_eq!((status, headers["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/console"));
    for accept in ["*/*", "application/json"] {
        let (status, _, _) = send(&console, Method::GET, "/", &[("accept", accept)], "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "the answer of the API");
    }
}

#[tokio::test]
async fn the_files_of_the_pages_are_there_and_stay_in_the_browser() {
    let console = with_console(api("harmless", "admin"));
    let (_, _, page) = send(&console, Method::GET, "/console", &[SIGNED_IN], "").await;
    let files = page.split('"').filter(|part| part.starts_with("/console/assets/")).collect::<Vec<_>>();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let (status, headers, content) = send(&console, Method::GET, file, &[], "").await;
        assert!(status == StatusCode::OK && !content.is_empty(), "{file}");
        assert!(headers["cache-control"].to_str().unwrap().contains("immutable"), "{file}");
    }
    let (status, _, _) = send(&console, Method::GET, "/console/assets/1/../../etc/passwd", &[], "").await;
    assert_ne!(status, StatusCode::OK);
}
