//! The protocol: the secret key, idempotency keys and injected faults.

use crate::{
    Request, Shared,
    answer::{Answer, with},
    faults::{Endpoint, Fault},
};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::stream;
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
};

/// Parameters by their names, such as `metadata[key]`.
pub(crate) type Parameters = BTreeMap<String, String>;

/// The idempotency keys of earlier requests.
#[derive(Debug, Default)]
pub(crate) struct Memory(HashMap<String, Known>);

#[derive(Debug)]
struct Known {
    /// Method, path and parameters.
    request: String,
    /// None while the request is in flight.
    answer: Option<Answer>,
}

const LONGEST_KEY: usize = 255;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

/// Handles a request to its end, even if the client goes away.
async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let sent = if method == Method::GET { uri.query().unwrap_or_default() } else { &body };
    let parameters: Parameters = form_urlencoded::parse(sent.as_bytes()).into_owned().collect();
    let request = Request {
        method: method.to_string(),
        path: uri.path().to_owned(),
        idempotency_key: text("idempotency-key"),
        version: text("stripe-version"),
        parameters: parameters.iter().map(|(name, value)| format!("{name}={value}")).collect(),
    };
    shared.requests.lock().push(request.clone());
    if let Some(answer) = refused(&shared.key.lock(), text("authorization")) {
        return response(&answer, false);
    }
    let Some(endpoint) = Endpoint::of(&request.method, &request.path) else {
        return response(&unknown(&request), false);
    };
    match tokio::spawn(executed(shared, endpoint, request, parameters)).await {
        Ok(response) => response,
        Err(_) => cut(),
    }
}

/// Refuses a request without the secret key, which may be the user name of basic
/// authentication or a bearer token.
fn refused(key: &str, authorization: Option<String>) -> Option<Answer> {
    let basic = format!("Basic {}", STANDARD.encode(format!("{key}:")));
    let given = authorization.unwrap_or_default();
    if given == basic || given == format!("Bearer {key}") {
        return None;
    }
    // Stripe shows a part of the key. The stand-in shows all of it, so that a test
    // notices if the host logs the message.
    let message = format!("Invalid API Key provided: {given}");
    Some(Answer::error(401, json!({ "type": "invalid_request_error", "message": message })))
}

fn unknown(request: &Request) -> Answer {
    let message = format!("Unrecognized request URL ({}: {}).", request.method, request.path);
    Answer::error(404, json!({ "type": "invalid_request_error", "message": message }))
}

async fn executed(shared: Arc<Shared>, endpoint: Endpoint, request: Request, parameters: Parameters) -> Response {
    let fault = shared.faults.lock().take(endpoint);
    match fault {
        Some(Fault::CutBefore) => return cut(),
        Some(Fault::Busy) => {
            let error =
                json!({ "type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests." });
            return response(&Answer::error(429, error), false);
        }
        Some(Fault::Nonsense) => {
            return response(&Answer { status: 502, body: "<html>".to_owned(), is_kept: false }, false);
        }
        _ => {}
    }
    let key = request.idempotency_key.clone().filter(|_| request.method == "POST");
    if let Some(key) = &key
        && let Some((answer, is_replayed)) = remembered(&mut shared.memory.lock(), key, &request)
    {
        return response(&answer, is_replayed);
    }
    let answer = match fault {
        Some(Fault::ErrorBefore) => Answer::broken(),
        _ => shared.account.lock().handle(endpoint, &request.path, &parameters),
    };
    let answer = if fault == Some(Fault::ErrorAfter) { Answer::broken() } else { answer };
    if let Some(Fault::Late(delay)) = fault {
        tokio::time::sleep(delay).await;
    }
    if let Some(key) = key {
        let mut memory = shared.memory.lock();
        if answer.is_kept {
            memory.0.entry(key).and_modify(|known| known.answer = Some(answer.clone()));
        } else {
            memory.0.remove(&key);
        }
    }
    if fault == Some(Fault::CutAfter) { cut() } else { response(&answer, false) }
}

/// The kept answer of a known key. None for a new key, whose request is in flight
/// from now on.
fn remembered(memory: &mut Memory, key: &str, request: &Request) -> Option<(Answer, bool)> {
    let error = |status, error| Some((Answer::error(status, with(error, "type", "idempotency_error".into())), false));
    if key.len() > LONGEST_KEY {
        return error(400, json!({ "message": "Idempotency keys are at most 255 characters long." }));
    }
    let asked = format!("{} {} {:?}", request.method, request.path, request.parameters);
    match memory.0.get(key) {
        None => {
            memory.0.insert(key.to_owned(), Known { request: asked, answer: None });
            None
        }
        Some(known) if known.request != asked => error(
            400,
            json!({ "message": format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. \
                 Try using a key other than '{key}' if you meant to execute a different request."
            ) }),
        ),
        Some(Known { answer: None, .. }) => error(
            409,
            json!({
                "code": "idempotency_key_in_use",
                "message": format!("There is currently another in-progress request using this Idempotent Key: {key}."),
            }),
        ),
        Some(Known { answer: Some(answer), .. }) => Some((answer.clone(), true)),
    }
}

fn response(answer: &Answer, is_replayed: bool) -> Response {
    let mut response = Response::new(Body::from(answer.body.clone()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert("request-id", header::HeaderValue::from_static("req_standIn"));
    if is_replayed {
        headers.insert("idempotent-replayed", header::HeaderValue::from_static("true"));
    }
    response
}

/// An answer whose connection ends in the middle.
fn cut() -> Response {
    Response::new(Body::from_stream(stream::once(async { Err::<String, _>(io::Error::other("cut")) })))
}
