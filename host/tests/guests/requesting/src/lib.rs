//! Sends requests to other hosts and plugins on demand: while it answers a request,
//! in a transaction, and in the handlers of events and timers. It uses the store,
//! events and timers beside that.
//!
//! It also answers the requests of other plugins. A test makes a second plugin of it
//! with another name of the same length.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ticketing_sdk::messaging::{Disposition, Event, Handled, Payload};
use ticketing_sdk::requests::{Incoming, Outgoing, SendError};
use ticketing_sdk::store::{Query, Snapshot, Timer, Tx, transact};
use ticketing_sdk::{Error, Request, Response, Result, Router, now_ms, params};

const ROUTES: Router = Router::new(&[
    ("GET", "/requesting/version", version),
    ("POST", "/requesting/send", send),
    ("POST", "/requesting/send-in-transaction", send_in_transaction),
    ("POST", "/requesting/later", later),
    ("GET", "/requesting/results/{id}", result),
    ("GET", "/requesting/echo", echo),
    ("POST", "/requesting/echo", echo),
    ("GET", "/requesting/private", echo),
    ("POST", "/requesting/private", echo),
    ("POST", "/requesting/counted", count_up),
    ("POST", "/requesting/chain", chain),
    ("GET", "/requesting/act/{what}", act),
]);

ticketing_sdk::component! {
    http: ROUTES,
    messaging: on_event,
    timers: on_timer,
}

/// A request to send.
#[derive(Clone, Serialize, Deserialize)]
struct Wanted {
    /// The id of the result, for an event or a timer.
    #[serde(default)]
    id: String,
    #[serde(default)]
    method: Option<String>,
    url: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// The length of the body.
    #[serde(default)]
    body_bytes: usize,
    /// The body, in place of one with a length.
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    timeout_ms: Option<u32>,
    /// Whether the handler uses its transaction before it sends.
    #[serde(default)]
    writes_first: bool,
}

impl Payload for Wanted {
    const SUBJECT: &'static str = "requesting.wanted";
}

fn wanted(request: &Request) -> Result<Wanted> {
    serde_json::from_slice(request.body()).map_err(|error| Error::bad_request(error.to_string()))
}

fn version(_: &Request) -> Result<Response> {
    Ok(Response::content(200, "text/plain", "requesting-one"))
}

fn send(request: &Request) -> Result<Response> {
    Response::json(200, &outcome(&wanted(request)?))
}

fn send_in_transaction(request: &Request) -> Result<Response> {
    let wanted = wanted(request)?;
    Response::json(200, &transact(|_| Ok(outcome(&wanted)))?)
}

/// Tells what has arrived.
fn echo(request: &Request) -> Result<Response> {
    const NAMES: [&str; 9] = [
        "accept",
        "authorization",
        "cookie",
        "forwarded",
        "host",
        "traceparent",
        "x-forwarded-for",
        "x-principal-id",
        "x-request-id",
    ];
    let headers: Vec<_> = NAMES.iter().filter(|name| request.header(name).is_some()).collect();
    let told = json!({
        "method": request.method(),
        "route": request.route(),
        "query": request.query("q"),
        "bytes": request.body().len(),
        "headers": headers,
        "principal": request.principal().map(|principal| &principal.id),
    });
    Response::json(200, &told)
}

/// Counts its effects.
fn count_up(_: &Request) -> Result<Response> {
    let count = transact(|tx| {
        let before: Option<String> = tx.one("SELECT result FROM results WHERE id = 'count'", params![])?;
        let count = before.and_then(|text| text.parse::<u32>().ok()).unwrap_or(0) + 1;
        tx.execute(
            "INSERT INTO results (id, result) VALUES ('count', $1) ON CONFLICT (id) DO UPDATE SET result = excluded.result",
            params![&count.to_string()],
        )?;
        Ok(count)
    })?;
    Response::json(201, &json!({ "count": count }))
}

/// Calls itself without an end.
fn chain(_: &Request) -> Result<Response> {
    let wanted = json!({ "method": "POST", "url": "http://requesting.plugin/requesting/chain" });
    let wanted: Wanted = serde_json::from_value(wanted).map_err(|error| Error::Internal(error.to_string()))?;
    Response::json(200, &json!({ "below": outcome(&wanted) }))
}

/// Computes without an end, and makes no call into the host.
fn spin() -> ! {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3));
    }
}

/// Behaves in a special way.
fn act(request: &Request) -> Result<Response> {
    match request.param("what")? {
        "trap" => std::process::abort(),
        "spin" => spin(),
        "cookie" => Ok(Response::empty(200).header("set-cookie", "mine=1").header("x-own", "1")),
        "large" => {
            let bytes = request.query("bytes").and_then(|text| text.parse().ok()).unwrap_or(0);
            Ok(Response::content(200, "application/octet-stream", vec![b'x'; bytes]))
        }
        _ => Err(Error::not_found()),
    }
}

/// Publishes an event and sets a timer. The handler of each sends the request and
/// stores the outcome under its own id.
fn later(request: &Request) -> Result<Response> {
    let wanted = wanted(request)?;
    let due_ms = u64::try_from(now_ms()).unwrap_or_default();
    let named = |kind: &str| Wanted { id: format!("{kind}-{}", wanted.id), ..wanted.clone() };
    transact(|tx| {
        tx.publish(&named("event"))?;
        tx.schedule(&wanted.id, due_ms, &named("timer"))
    })?;
    Ok(Response::empty(202))
}

fn result(request: &Request) -> Result<Response> {
    let stored: Option<String> =
        Snapshot.one("SELECT result FROM results WHERE id = $1", params![request.param("id")?])?;
    match stored {
        Some(stored) => Ok(Response::content(200, "application/json", stored)),
        None => Err(Error::not_found()),
    }
}

fn on_event(event: Event, tx: &Tx<'_>) -> Handled {
    follow(&event.payload, tx)
}

fn on_timer(timer: Timer, _: u32, tx: &Tx<'_>) -> Handled {
    follow(&timer.payload, tx)
}

fn follow(payload: &[u8], tx: &Tx<'_>) -> Handled {
    let wanted: Wanted =
        serde_json::from_slice(payload).map_err(|error| Disposition::Reject(format!("unreadable: {error}")))?;
    let store = |result: &Value| {
        tx.execute(
            "INSERT INTO results (id, result) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET result = excluded.result",
            params![&wanted.id, &result.to_string()],
        )
    };
    if wanted.writes_first {
        store(&Value::Null)?;
    }
    store(&outcome(&wanted))?;
    Ok(())
}

/// What came back: the status, the names of the headers and the body, or the
/// error.
fn outcome(wanted: &Wanted) -> Value {
    let mut outgoing = Outgoing::new(wanted.method.as_deref().unwrap_or("GET"), &wanted.url);
    for (name, value) in &wanted.headers {
        outgoing = outgoing.header(name, value);
    }
    if let Some(ms) = wanted.timeout_ms {
        outgoing = outgoing.timeout_ms(ms);
    }
    let body = match &wanted.body {
        Some(body) => body.to_string().into_bytes(),
        None => vec![b'x'; wanted.body_bytes],
    };
    match outgoing.body(body).send() {
        Ok(response) => told(&response),
        Err(error) => json!({ "error": name_of(&error), "text": error.to_string() }),
    }
}

fn told(response: &Incoming) -> Value {
    let (body, bytes) = (String::from_utf8_lossy(response.body()), response.body().len());
    let body: String = body.chars().take(2_000).collect();
    let header = |name| response.header(name);
    json!({ "status": response.status(), "location": header("location"), "cookie": header("set-cookie"), "body": body, "bytes": bytes })
}

fn name_of(error: &SendError) -> &'static str {
    match error {
        SendError::Denied(_) => "denied",
        SendError::InTransaction => "in-transaction",
        SendError::Invalid(_) => "invalid",
        SendError::TooLarge(_) => "too-large",
        SendError::Busy(_) => "busy",
        SendError::Timeout => "timeout",
        SendError::Unreachable(_) => "unreachable",
        SendError::TooDeep => "too-deep",
    }
}
