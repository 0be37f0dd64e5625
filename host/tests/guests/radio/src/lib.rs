//! A guest that sends live events and lets clients listen to them. Its answers and
//! its transactions are what the test asks for.

use serde::Deserialize;
use serde_json::json;
use ticketing_sdk::store::{SqlError, Transaction, Tx};
use ticketing_sdk::{Error, Request, Response, Result, Router, settings};

const ROUTES: Router = Router::new(&[
    ("GET", "/radio/events", listen),
    ("POST", "/radio/events", send),
    ("GET", "/radio/odd", odd),
    ("POST", "/radio/odd", odd),
]);

ticketing_sdk::component! { http: ROUTES }

/// What a transaction does.
#[derive(Deserialize)]
struct Wanted {
    /// Channel, name and data of each event.
    events: Vec<(String, String, String)>,
    /// How often each event is sent.
    #[serde(default = "once")]
    times: usize,
    /// Whether the transaction commits.
    #[serde(default = "yes")]
    commits: bool,
}

fn once() -> usize {
    1
}

fn yes() -> bool {
    true
}

/// Holds the connection for `channels`, with the colour of the revision first.
fn listen(request: &Request) -> Result<Response> {
    let channels = request.query("channels").unwrap_or_default();
    let body = format!("event: colour\ndata: {}\n\n", settings::get::<String>("colour")?);
    Ok(Response::content(200, "text/event-stream", body).hold(&channels.split(',').collect::<Vec<_>>()))
}

/// Sends events, and tells how many were taken and the error of the first other one.
fn send(request: &Request) -> Result<Response> {
    let wanted: Wanted =
        serde_json::from_slice(request.body()).map_err(|error| Error::refused(400, error.to_string()))?;
    let transaction = Transaction::begin()?;
    let tx = Tx::new(&transaction);
    let mut sent = 0;
    let mut problem = None;
    'events: for (channel, name, data) in &wanted.events {
        for _ in 0..wanted.times {
            match tx.send_live(channel, name, data) {
                Ok(()) => sent += 1,
                Err(Error::Store(error @ (SqlError::Limit(_) | SqlError::Invalid(_)))) => {
                    problem = Some(format!("{error:?}"));
                    break 'events;
                }
                Err(error) => return Err(error),
            }
        }
    }
    match wanted.commits {
        true => Transaction::commit(transaction)?,
        false => Transaction::rollback(transaction),
    }
    Response::json(200, &json!({ "sent": sent, "problem": problem }))
}

/// Answers with the status and the headers of the query, such as
/// `status=200&grip-hold=stream`.
fn odd(request: &Request) -> Result<Response> {
    let status = request.query("status").and_then(|text| text.parse().ok()).unwrap_or(200);
    let names = ["content-type", "grip-hold", "grip-channel", "etag"];
    let add = |response: Response, name| match request.query(name) {
        Some(value) => response.header(name, value),
        None => response,
    };
    Ok(names.into_iter().fold(Response::empty(status), add))
}
