//! A guest whose settings decide its behaviour, so that a test can tell its
//! revisions apart. It answers with its colour, and records the colour with each
//! event and timer that it applies.

use serde::{Deserialize, Serialize};
use serde_json::json;
use ticketing_sdk::messaging::{Disposition, Event, Handled, Payload};
use ticketing_sdk::store::{FromRow, Query, Row, Snapshot, Timer, Tx, transact};
use ticketing_sdk::{Error, Request, Response, Result, Router, now_ms, params, settings};

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
    /// How many more events its handler causes, one after the other.
    #[serde(default)]
    causes: i64,
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
    /// When the handler began and ended last.
    begun_ms: i64,
    ended_ms: i64,
}

impl FromRow for Applied {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            colour: row.text("colour")?,
            times: row.integer("times")?,
            begun_ms: row.integer("begun_ms")?,
            ended_ms: row.integer("ended_ms")?,
        })
    }
}

fn colour() -> Result<String> {
    settings::get::<String>("colour")
}

fn show(_: &Request) -> Result<Response> {
    match settings::get::<String>("mood")?.as_str() {
        "trap" => std::process::abort(),
        "error" => return Err(Error::Internal("in a bad mood".to_owned())),
        "slow" => compute_slowly(),
        _ => {}
    }
    Response::json(200, &json!({ "colour": colour()? }))
}

/// Computes for a while. The loop makes few calls into the host, because they
/// are limited.
fn compute_slowly() {
    let begun = now_ms();
    while now_ms() < begun + SLOW_MS {
        (0..100_000).for_each(|step| {
            std::hint::black_box(step);
        });
    }
}

fn health(_: &Request) -> Result<Response> {
    match settings::get::<String>("mood")?.as_str() {
        "sick" => std::process::abort(),
        _ => Ok(Response::empty(204)),
    }
}

/// Publishes an event and sets a timer. The route of the applied ids shows both
/// later. With `causes`, the event causes so many more, one after the other.
fn cause(request: &Request) -> Result<Response> {
    let mut fields = request.fields()?;
    let Some(id) = fields.text("id", |text| Ok(text.to_owned())) else { return Err(fields.into_error()) };
    let causes = request.query("causes").and_then(|text| text.parse().ok()).unwrap_or(0);
    let due_ms = u64::try_from(now_ms()).unwrap_or_default();
    transact(|tx| {
        tx.publish(&Effect { id: format!("event {id}"), causes })?;
        tx.schedule(&id, due_ms, &Effect { id: format!("timer {id}"), causes: 0 })
    })?;
    Response::json(201, &json!({ "colour": colour()? }))
}

/// Every id, with the number of times that it was applied and its last colour.
fn applied(_: &Request) -> Result<Response> {
    let list: Vec<Applied> =
        Snapshot.all("SELECT id, colour, times, begun_ms, ended_ms FROM applied ORDER BY id", params![])?;
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
    let begun_ms = now_ms();
    if settings::get::<String>("mood")? == "slow" {
        compute_slowly();
    }
    tx.execute(
        "INSERT INTO applied (id, colour, times, begun_ms, ended_ms) VALUES ($1, $2, 1, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET times = applied.times + 1, colour = excluded.colour, \
         begun_ms = excluded.begun_ms, ended_ms = excluded.ended_ms",
        params![&effect.id, &colour()?, begun_ms, now_ms()],
    )?;
    if effect.causes > 0 {
        tx.publish(&Effect { id: format!("{}+", effect.id), causes: effect.causes - 1 })?;
    }
    Ok(())
}
