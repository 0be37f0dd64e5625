//! Events and timers that fail on demand, and the number of times that each took
//! effect.

use std::hint::black_box;

use serde::{Deserialize, Serialize};
use serde_json::json;
use ticketing_sdk::messaging::{Disposition, Event, Handled};
use ticketing_sdk::store::{Query, Snapshot, Timer, Transaction, Tx, transact};
use ticketing_sdk::{Error, Request, Response, Result, now_ms, params};

use crate::statements::error_json;

const HOUR_MS: u64 = 3_600_000;

/// The payload of an event or timer.
#[derive(Serialize, Deserialize)]
struct Effect {
    /// The id that `applied` counts.
    id: String,
    /// `apply`, `trap`, `loop`, `reject`, `shout`, `retry`, `retry-once`, or `later`.
    mood: String,
}

/// Publishes one event on `subject` with the given `id` and `mood`.
pub(crate) fn publish(request: &Request) -> Result<Response> {
    let (subject, effect) = read(request, "subject")?;
    let payload = serde_json::to_vec(&effect).map_err(|error| Error::Internal(error.to_string()))?;
    let transaction = Transaction::begin()?;
    match transaction.publish(&subject, &payload) {
        Ok(id) => {
            Transaction::commit(transaction)?;
            Response::json(201, &json!({ "id": id }))
        }
        Err(error) => Response::json(200, &json!({ "error": error_json(&error) })),
    }
}

/// Sets a timer under `key` that is due at once, with the given `id` and
/// `mood`.
pub(crate) fn schedule(request: &Request) -> Result<Response> {
    let (key, effect) = read(request, "key")?;
    let due_ms = u64::try_from(now_ms()).unwrap_or_default();
    transact(|tx| tx.schedule(&key, due_ms, &effect))?;
    Ok(Response::empty(201))
}

/// Gives events and timers with this `id` another `mood` from now on.
pub(crate) fn set_mood(request: &Request) -> Result<Response> {
    let mut fields = request.fields()?;
    let id = fields.text("id", |text| Ok(text.to_owned()));
    let mood = fields.text("mood", |text| Ok(text.to_owned()));
    let (Some(id), Some(mood)) = (id, mood) else {
        return Err(fields.into_error());
    };
    transact(|tx| {
        tx.execute(
            "INSERT INTO moods (id, mood) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET mood = excluded.mood",
            params![&id, &mood],
        )
    })?;
    Ok(Response::empty(204))
}

/// The number of times that this id was applied.
pub(crate) fn applied(request: &Request) -> Result<Response> {
    let times = Snapshot.rows("SELECT times FROM applied WHERE id = $1", params![request.param("id")?])?;
    let times = times.rows.into_iter().flatten().next();
    let times = match times {
        Some(ticketing_sdk::store::Value::Integer(times)) => times,
        _ => 0,
    };
    Response::json(200, &json!({ "times": times }))
}

/// Applies an event, if its mood is good.
pub(crate) fn on_event(event: Event, tx: &Tx<'_>) -> Handled {
    follow(&event.payload, event.attempt, tx)
}

/// Applies a timer, if its mood is good.
pub(crate) fn on_timer(timer: Timer, attempt: u32, tx: &Tx<'_>) -> Handled {
    follow(&timer.payload, attempt, tx)
}

/// Writes first. A failure after the write must undo it.
fn follow(payload: &[u8], attempt: u32, tx: &Tx<'_>) -> Handled {
    let effect: Effect =
        serde_json::from_slice(payload).map_err(|error| Disposition::Reject(format!("unreadable: {error}")))?;
    tx.execute(
        "INSERT INTO applied (id, times) VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET times = applied.times + 1",
        params![&effect.id],
    )?;
    let mood: Option<String> = tx.one("SELECT mood FROM moods WHERE id = $1", params![&effect.id])?;
    match mood.unwrap_or(effect.mood).as_str() {
        "apply" => Ok(()),
        "trap" => std::process::abort(),
        "loop" => loop {
            black_box(());
        },
        "retry" => Err(Disposition::Retry(Some(1))),
        "later" if attempt == 1 => Err(Disposition::Retry(Some(HOUR_MS))),
        "later" => Ok(()),
        "retry-once" if attempt == 1 => Err(Disposition::Retry(None)),
        "retry-once" => Ok(()),
        // A reason that is too long for NATS and has a character that PostgreSQL refuses.
        "shout" => Err(Disposition::Reject("\0 no ".repeat(1 << 19))),
        _ => Err(Disposition::Reject("in a bad mood".to_owned())),
    }
}

/// The field `name`, and the effect that the other fields describe.
fn read(request: &Request, name: &str) -> Result<(String, Effect)> {
    let mut fields = request.fields()?;
    let named = fields.text(name, |text| Ok(text.to_owned()));
    let id = fields.text("id", |text| Ok(text.to_owned()));
    let mood = fields.text("mood", |text| Ok(text.to_owned()));
    match (named, id, mood) {
        (Some(named), Some(id), Some(mood)) => Ok((named, Effect { id, mood })),
        _ => Err(fields.into_error()),
    }
}
