//! The overview of a host with many plugins.

use super::{SIGNED_IN, with_console};
use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::Request,
    response::IntoResponse,
};
use http::StatusCode;
use serde_json::{Value, json};
use tower::ServiceExt;

const PLUGINS: u64 = 200;
/// The most bytes of the overview with its style and its scripts.
const MAX_BYTES: usize = 150 << 10;
const STYLES_AND_SCRIPTS: usize = 24 << 10;

/// Digits and letters that do not repeat.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // Marsaglia's xorshift64.
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from_digit((state >> 32) as u32 % 36, 36).unwrap()
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn plugin(number: u64) -> Value {
    let name = format!("plugin-{number}");
    let revision = format!("1.{number}.0+{}", noise(number, 8));
    let calls: Vec<u64> = (0..90).map(|slot| (number * 7_919 + slot * slot * 31) % 1_000).collect();
    json!({
        "name": name, "version": "1.0.0", "revision": revision, "digest": noise(number, 64), "size_bytes": 90_000,
        "status": "active", "imports": [], "exports": [], "subscribes": [], "publishes": [],
        "routes": [{ "path": format!("/{name}"), "methods": ["GET"] }], "in_flight": 1, "calls": number, "failures": 1,
        "canary": { "revision": noise(number, 14), "percent": 10, "calls": 1, "errors": 0, "failures": 0 },
        "recent": { "calls_per_second": number, "error_percent": 0.5, "p50_us": number * 37, "p99_us": number * 977,
            "memory_bytes": number << 20, "calls": calls },
        "last_failure": { "time_ms": 1_893_456_000_000_u64 + number, "revision": revision, "call": "GET /", "kind": "trap",
            "blame": "guest", "message": noise(number, 200), "id": noise(number, 36) },
    })
}

async fn answer(request: Request) -> impl IntoResponse {
    let lag = (0..PLUGINS).map(|number| (format!("plugin-{number}"), json!({ "outbox_ms": 0, "timers_ms": 0 })));
    Json(match request.uri().path() {
        "/caller" => json!({ "name": "ci", "role": "admin" }),
        "/plugins" => (0..PLUGINS).map(plugin).collect(),
        "/cluster" => json!({ "this": "a", "hosts": [], "lag": lag.collect::<serde_json::Map<_, _>>() }),
        _ => json!([]),
    })
}

#[tokio::test]
async fn the_overview_of_two_hundred_plugins_is_small_on_the_wire() {
    let console = with_console(Router::new().fallback(answer));
    let get = async |encoding: &str| {
        let request = Request::get("/console").header(SIGNED_IN.0, SIGNED_IN.1).header("accept-encoding", encoding);
        let answer = console.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let encoding = answer.headers().get("content-encoding").cloned();
        assert_eq!(answer.headers()["cache-control"], "private, no-store");
        (encoding, to_bytes(answer.into_body(), 8 << 20).await.unwrap())
    };
    let (encoding, page) = get("identity").await;
    let text = String::from_utf8(page.to_vec()).unwrap();
    assert!(encoding.is_none() && text.contains("plugin-199</a>"), "{} bytes", page.len());
    let (encoding, compressed) = get("gzip, deflate, br").await;
    assert_eq!(encoding.unwrap(), "gzip");
    let bytes = compressed.len() + STYLES_AND_SCRIPTS;
    assert!(bytes <= MAX_BYTES, "{bytes} bytes, and {} before", page.len());
    println!("the overview of {PLUGINS} plugins has {} bytes, compressed {}", page.len(), compressed.len());
}
