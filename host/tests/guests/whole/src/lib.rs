//! One component for a whole job: it answers requests by the standard's interface,
//! handles events and timers by the platform's, and uses interfaces of both.
#![expect(unsafe_code, reason = "the generated bindings need it")]

mod answers;

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../../wit", "../../wit/p2", "wit"],
        world: "test:whole/whole",
        generate_all,
    });
}

use bindings::{
    exports::{
        platform::handlers::{event_handler, timer_handler},
        wasi::http::incoming_handler,
    },
    platform::{
        identity::identity,
        live::live,
        messaging::types::Disposition,
        store::sql::{self, Error, Timer, Transaction, Value},
    },
    wasi::{
        clocks0_2_0::wall_clock,
        clocks0_2_10::monotonic_clock,
        config::store as config,
        http::types::{IncomingRequest, ResponseOutparam},
        logging::logging,
        random::random,
    },
};

/// 30 days.
const MONTH_SECONDS: u64 = 30 * 86_400;

struct Whole;

impl incoming_handler::Guest for Whole {
    fn handle(request: IncomingRequest, answer: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (path, text) = path.split_once('?').unwrap_or((&path, ""));
        let told = match path.rsplit('/').next().unwrap_or_default() {
            "listen" => return answers::hold(answer, text),
            "send" => send(text),
            "save" => save(text, 0),
            "remind" => save(text, MONTH_SECONDS),
            "rows" => rows(),
            "leave-open" => leave_open(text),
            "wait" => Ok(wait()),
            "services" => services(),
            "fetch" => Ok(answers::fetch(text)),
            "ask" => Ok(answers::ask(text)),
            "chain" => Ok(answers::ask("whole.plugin/whole/chain")),
            "fetch-in-transaction" => fetch_in_transaction(text),
            _ => Ok("whole-one".to_owned()),
        };
        match told {
            Ok(text) => answers::respond(answer, 200, &text),
            Err(error) => answers::respond(answer, 500, &format!("{error:?}")),
        }
    }
}

impl event_handler::Guest for Whole {
    fn handle(event: event_handler::Event, tx: &Transaction) -> Result<(), Disposition> {
        mark(tx, "UPDATE texts SET heard = heard + 1 WHERE text = $1", &event.payload)
    }
}

impl timer_handler::Guest for Whole {
    fn handle(timer: Timer, _: u32, tx: &Transaction) -> Result<(), Disposition> {
        // The timer of a schedule marks the text with the schedule's name.
        let text = timer.key.strip_prefix("schedule:").unwrap_or(&timer.key);
        mark(tx, "UPDATE texts SET rung = rung + 1 WHERE text = $1", text.as_bytes())
    }
}

fn mark(tx: &Transaction, statement: &str, text: &[u8]) -> Result<(), Disposition> {
    let text = Value::Text(String::from_utf8_lossy(text).into_owned());
    tx.execute(statement, &[text]).map(drop).map_err(|error| Disposition::Reject(format!("{error:?}")))
}

/// Saves a text, with an event and a timer in the same commit. The timer is due after this time.
fn save(text: &str, after_seconds: u64) -> Result<String, Error> {
    let tx = Transaction::begin()?;
    tx.execute("INSERT INTO texts (text) VALUES ($1)", &[Value::Text(text.to_owned())])?;
    tx.publish("whole.saved", text.as_bytes())?;
    let due_ms = (wall_clock::now().seconds + after_seconds) * 1000;
    tx.schedule(&Timer { key: text.to_owned(), due_ms, payload: text.as_bytes().to_vec() })?;
    Transaction::commit(tx)?;
    Ok("saved".to_owned())
}

/// Sends a live event to the channel with this name.
fn send(channel: &str) -> Result<String, Error> {
    let tx = Transaction::begin()?;
    live::notify(&tx, channel, "said", "hello")?;
    Transaction::commit(tx)?;
    Ok("sent".to_owned())
}

/// Every text with the number of its events and timers.
fn rows() -> Result<String, Error> {
    let found = sql::query("SELECT text, heard, rung FROM texts ORDER BY text", &[])?;
    let line = |row: &Vec<Value>| match row.as_slice() {
        [Value::Text(text), Value::Integer(heard), Value::Integer(rung)] => format!("{text} {heard} {rung}"),
        _ => "?".to_owned(),
    };
    Ok(found.rows.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Leaves a transaction open, and does not forget to answer.
fn leave_open(text: &str) -> Result<String, Error> {
    let tx = Transaction::begin()?;
    tx.execute("INSERT INTO texts (text) VALUES ($1)", &[Value::Text(text.to_owned())])?;
    std::mem::forget(tx);
    Ok("left open".to_owned())
}

fn fetch_in_transaction(url: &str) -> Result<String, Error> {
    let tx = Transaction::begin()?;
    let told = answers::fetch(url);
    Transaction::rollback(tx);
    Ok(told)
}

/// The milliseconds that a wait of 50 ms takes, by the monotonic clock.
fn wait() -> String {
    let begun = monotonic_clock::now();
    monotonic_clock::subscribe_duration(50_000_000).block();
    ((monotonic_clock::now() - begun) / 1_000_000).to_string()
}

/// Uses each of the other interfaces once.
fn services() -> Result<String, Error> {
    let greeting = config::get("greeting").ok().flatten().unwrap_or_default();
    logging::log(logging::Level::Warn, "services", "asked for the services");
    let hash = identity::hash_password("correct horse");
    let is_right = hash.and_then(|hash| identity::verify_password("x", "correct horse", Some(&hash)));
    Ok(format!("{greeting} {is_right:?} {}", random::get_random_bytes(8).len()))
}

bindings::export!(Whole with_types_in bindings);
