//! A guest whose settings decide its behaviour, so that a test can tell its
//! revisions apart. It answers with its colour, and records the colour with each
//! event and timer that it applies.

use serde::{Deserialize, Serialize};
use serde_json::json;
use ticketing_sdk::messaging::{Disposition, Event, Handled, Payload};
use ticketing_sdk::store::{FromRow, Query, Row, Snapshot, Timer, Tx, transact};
use ticketing_sdk::{Error, Request, Response, Result, Router, capability, now_ms, params};

const ROUTES: Router = Router::new(&[
    ("GET", "/chameleon", show),
    ("POST", "/chameleon", cause),
    ("GET", "/chameleon/health", health),
    ("GET", "/chameleon/applied", applied),
]);

ticketing_sdk::component! {
    http: ROUTES,
    messaging: on_event,
    timers: on_timer,
}

/// How long a slow answer computes.
const SLOW_MS: i64 = 60;

/// The payload of an event or timer.
#[derive(Serialize, Deserialize)]
struct Effect {
    id: String,
}

impl Payload for Effect {
    const SUBJECT: &'static str = "chameleon.event";
}

/// How often an id was applied, and the colour of the last time.
#[derive(Serialize)]
struct Applied {
    id: String,
    colour: String,
    times: i64,
}

impl FromRow for Applied {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        Ok(Self { id: row.text("id")?, colour: row.text("colour")?, times: row.integer("times")? })
    }
}

fn colour() -> Result<String> {
    capability::config_text("colour")
}

fn show(_: &Request) -> Result<Response> {
    match capability::config_text("mood")?.as_str() {
        "trap" => std::process::abort(),
        "error" => return Err(Error::Internal("in a bad mood".to_owned())),
        "slow" => {
            let begun = now_ms();
            while now_ms() < begun + SLOW_MS {
                // The loop makes few calls into the host, because they are limited.
                (0..100_000).for_each(|step| {
                    std::hint::black_box(step);
                });
            }
        }
        _ => {}
    }
    Response::json(200, &json!({ "colour": colour()? }))
}

fn health(_: &Request) -> Result<Response> {
    match capability::config_text("mood")?.as_str() {
        "sick" => std::process::abort(),
        _ => Ok(Response::empty(204)),
    }
}

/// Publishes an event and sets a timer. The route of the applied ids shows both
/// later.
fn cause(request: &Request) -> Result<Response> {
    let mut fields = request.fields()?;
    let Some(id) = fields.text("id", |text| Ok(text.to_owned())) else { return Err(fields.into_error()) };
    let due_ms = u64::try_from(now_ms()).unwrap_or_default();
    transact(|tx| {
        tx.publish(&Effect { id: format!("event {id}") })?;
        tx.schedule(&id, due_ms, &Effect { id: format!("timer {id}") })
    })?;
    Response::json(201, &json!({ "colour": colour()? }))
}

/// Every id, with the number of times that it was applied and its last colour.
fn applied(_: &Request) -> Result<Response> {
    let list: Vec<Applied> = Snapshot.all("SELECT id, colour, times FROM applied ORDER BY id", params![])?;
    Response::json(200, &list)
}

fn on_event(event: Event, tx: &Tx<'_>) -> Handled {
    apply(&event.payload, tx)
}

fn on_timer(timer: Timer, _: u32, tx: &Tx<'_>) -> Handled {
    apply(&timer.payload, tx)
}

fn apply(payload: &[u8], tx: &Tx<'_>) -> Handled {
    let effect: Effect =
        serde_json::from_slice(payload).map_err(|error| Disposition::Reject(format!("unreadable: {error}")))?;
    tx.execute(
        "INSERT INTO applied (id, colour, times) VALUES ($1, $2, 1) \
         ON CONFLICT (id) DO UPDATE SET times = applied.times + 1, colour = excluded.colour",
        params![&effect.id, &colour()?],
    )?;
    Ok(())
}
