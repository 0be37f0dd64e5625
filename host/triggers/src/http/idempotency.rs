//! Requests with an `Idempotency-Key`, on the routes whose manifest says
//! `idempotent = true`.
//!
//! A repetition of a request gets the stored answer and does not reach the
//! component. See draft-ietf-httpapi-idempotency-key-header. The store keeps the
//! keys, see [`host_store::KeyedRequests`].
//!
//! A key belongs to one plugin, route and visitor. Visitors without a session
//! share one scope, because a retry may come from another address. A plugin that asks
//! without a visitor has a scope of its own. So that a guessed key shows nobody the
//! answer of another visitor, the whole request must be the same, and no stored answer
//! has a cookie: a repeated sign-up says that the account exists, and gives no session.

mod key;
mod stored_answer;

use super::{exchange::Exchange, visitor::KeyOwner};
use axum::response::{IntoResponse, Response};
use host_base::{clock::now_ms, id};
use host_engine::{Failure, Request};
use host_http::error::Refusal;
use host_plugin::{Invocation, Revision, registry::Target};
use host_store::{Error, KeyState, KeyedCall, RequestClaim, describe};
use http::{HeaderValue, Method, header, request::Parts};
use key::HEADER;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};
use stored_answer::ANSWER_BYTES;
pub(super) use stored_answer::{REPEATABLE, REPLAYED};

/// The time that a call takes at most beside its own limit: it waits for its turns
/// and is repeated for a short time.
const BESIDE_THE_CALL_MS: u64 = 15_000;

/// The keyed requests that run on this host: the digest of the key, and the
/// fingerprint.
#[derive(Default)]
pub(super) struct RunningRequests(Mutex<HashMap<String, String>>);

/// A request with a key, before its answer.
pub(super) struct Keyed {
    claim: Arc<RequestClaim>,
    _running: Running,
}

/// Takes the request out of the running ones when it is dropped.
struct Running {
    requests: Arc<RunningRequests>,
    request: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.requests.0.lock().remove(&self.request);
    }
}

/// The key of a request, if its route takes one. A request without the header
/// costs no more than the look at it.
pub(super) fn key_of(revision: &Revision, target: &Target<'_>, parts: &Parts) -> Result<Option<String>, Refusal> {
    if !parts.headers.contains_key(HEADER) || !matches!(parts.method, Method::POST | Method::PATCH) {
        return Ok(None);
    }
    let mut routes = revision.manifest.routes.iter();
    match routes.any(|route| route.idempotent && route.path == target.pattern) {
        true => key::parse(&parts.headers).map(Some),
        false => Ok(None),
    }
}

/// A keyed request may run, or has its answer already.
pub(super) enum Admitted {
    Runs(Keyed),
    Answered(Response),
}

/// Claims a key on this host.
pub(super) fn admit(
    running: &Arc<RunningRequests>,
    revision: &Revision,
    key: &str,
    owner: &KeyOwner,
    request: &Request,
) -> Result<Admitted, Refusal> {
    let database = revision.database.clone().ok_or(Refusal::Unavailable)?;
    let call = keyed_call(revision, key, owner, request);
    match running.0.lock().entry(call.request.clone()) {
        Entry::Occupied(entry) if *entry.get() != call.fingerprint => return Err(Refusal::KeyOfOtherRequest),
        Entry::Occupied(_) => return Ok(Admitted::Answered(still_running())),
        Entry::Vacant(entry) => entry.insert(call.fingerprint.clone()),
    };
    let guard = Running { requests: running.clone(), request: call.request.clone() };
    Ok(Admitted::Runs(Keyed { claim: Arc::new(RequestClaim::new(database, call)), _running: guard }))
}

fn keyed_call(revision: &Revision, key: &str, owner: &KeyOwner, request: &Request) -> KeyedCall {
    let at_ms = now_ms();
    let if_match = request.header(header::IF_MATCH.as_str()).unwrap_or_default();
    let query = request.query().map_or_else(String::new, |query| format!("?{query}"));
    KeyedCall {
        request: digest(&[request.method(), request.route(), &owner.scope, key].map(str::as_bytes)),
        fingerprint: digest(&[
            request.method().as_bytes(),
            request.path().as_bytes(),
            query.as_bytes(),
            if_match.as_bytes(),
            owner.scope.as_bytes(),
            request.body(),
        ]),
        holder: digest(&[owner.holder.as_bytes()]),
        attempt: id::new().to_string(),
        at_ms,
        ends_ms: at_ms.saturating_add(revision.manifest.limits.wall_time_ms).saturating_add(BESIDE_THE_CALL_MS),
    }
}

/// A digest of the parts. The length of each part keeps their ends apart.
fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

impl Keyed {
    /// Answers the request, in a task of its own: a client that goes away and
    /// repeats its request finds the answer.
    pub(super) async fn answer(self, exchange: Exchange, invocation: Invocation) -> Response {
        let answered = tokio::spawn(async move {
            let response = self.answer_once(exchange, &invocation).await.unwrap_or_else(IntoResponse::into_response);
            invocation.end(response.status().is_server_error());
            response
        });
        answered.await.unwrap_or_else(|_| Refusal::Failed.into_response())
    }

    async fn answer_once(&self, mut exchange: Exchange, invocation: &Invocation) -> Result<Response, Refusal> {
        if let Some(known) = self.known_answer(&exchange, invocation.revision()).await? {
            return Ok(known);
        }
        exchange.call.claim = Some(self.claim.clone());
        let called = tokio::select! {
            called = exchange.call(invocation) => called,
            () = self.claim.taken() => return self.answer_of_other(&exchange, invocation.revision()).await,
        };
        let answer = match called {
            Ok(answer) => answer,
            Err(failure) => {
                self.end_without_answer(invocation.revision()).await;
                return Err(Refusal::from(&failure));
            }
        };
        let stored = stored_answer::is_kept(&answer).then(|| stored_answer::encode(&answer));
        let is_repeatable = stored.is_none() && stored_answer::is_repeatable(&answer);
        let response = exchange.asked(invocation.revision()).http_response(answer);
        match stored {
            Some(stored) if response.is_ok() => self.store(stored, response?, &exchange, invocation.revision()).await,
            _ if is_repeatable && response.is_ok() => {
                self.forget(invocation.revision()).await;
                response
            }
            _ => {
                self.end_without_answer(invocation.revision()).await;
                response
            }
        }
    }

    /// Stores the answer before the client gets it.
    async fn store(
        &self,
        stored: Vec<u8>,
        response: Response,
        exchange: &Exchange,
        revision: &Arc<Revision>,
    ) -> Result<Response, Refusal> {
        if stored.len() > ANSWER_BYTES {
            let problem = format!("an answer of {} bytes, over the limit of {ANSWER_BYTES} with a key", stored.len());
            let failure = Failure::Answer { component: revision.name().to_owned(), problem };
            revision.note(&failure, exchange.called());
            self.end_without_answer(revision).await;
            return Ok(response);
        }
        match self.claim.answer(stored).await {
            Ok(true) => Ok(response),
            // A call on another host was faster. This call has changed nothing.
            Ok(false) => self.answer_of_other(exchange, revision).await,
            // What the component has done is done, and the answer says so.
            Err(error) => {
                warn(revision, &error, "the host could not store the answer of a request with a key");
                self.end_without_answer(revision).await;
                Ok(response)
            }
        }
    }

    /// The answer, if the key was used before.
    async fn known_answer(&self, exchange: &Exchange, revision: &Arc<Revision>) -> Result<Option<Response>, Refusal> {
        let state = self.claim.state().await.map_err(|error| {
            warn(revision, &error, "the host could not look up the key of a request");
            Refusal::Unavailable
        })?;
        match state {
            KeyState::Unused => Ok(None),
            KeyState::TooMany => Err(Refusal::TooManyKeys),
            KeyState::OtherRequest => Err(Refusal::KeyOfOtherRequest),
            KeyState::Running => Ok(Some(still_running())),
            KeyState::NoAnswer => Err(Refusal::AnswerNotKept),
            KeyState::Answered(stored) => {
                let answer = stored_answer::decode(&stored).ok_or(Refusal::AnswerNotKept)?;
                let mut response = exchange.asked(revision).http_response(answer)?;
                response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                Ok(Some(response))
            }
        }
    }

    async fn answer_of_other(&self, exchange: &Exchange, revision: &Arc<Revision>) -> Result<Response, Refusal> {
        Ok(self.known_answer(exchange, revision).await?.unwrap_or_else(still_running))
    }

    async fn end_without_answer(&self, revision: &Revision) {
        if let Err(error) = self.claim.end().await {
            // Repetitions are told later that there is no answer.
            warn(revision, &error, "the host could not end the claim of a key");
        }
    }

    async fn forget(&self, revision: &Revision) {
        if let Err(error) = self.claim.forget().await {
            warn(revision, &error, "the host could not give a key back");
        }
    }
}

fn warn(revision: &Revision, error: &Error, message: &str) {
    tracing::warn!(component = revision.name(), error = describe(error), "{message}");
}

fn still_running() -> Response {
    let mut response = Refusal::KeyInUse.into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
