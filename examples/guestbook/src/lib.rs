//! A guestbook. An entry, the event that announces it and the timer that
//! removes it are one commit: all three are durable, or none is.

wit_bindgen::generate!({ path: "wit", world: "component", generate_all });

mod book;

use exports::platform::{http::handler as http, messaging::handler as messaging, timers::handler as timers};
use platform::messaging::types::Disposition;
use platform::store::sql::{Error, Timer, Transaction};

struct Component;

export!(Component);

impl http::Guest for Component {
    /// The host calls this for each request that matches a route in plugin.toml.
    fn handle(request: http::Request) -> http::Response {
        let guest = request.params.first().map(|(_, guest)| guest.as_str());
        let answer = match (request.method.as_str(), guest) {
            ("POST", Some(guest)) => match String::from_utf8(request.body) {
                // The id of the request is unique, and serves as the id of the entry.
                Ok(message) if !message.trim().is_empty() => book::sign(&request.id, guest, message.trim()),
                _ => return text(400, "Write a message.\n"),
            },
            (_, Some(guest)) => book::guest(guest),
            (_, None) => book::entries(),
        };
        match answer {
            Ok(answer) => text(200, &answer),
            // Another transaction was in the way, and nothing was done.
            Err(Error::Conflict | Error::Timeout) => text(503, "Try again.\n"),
            Err(error) => text(500, &format!("{error}\n")),
        }
    }
}

impl messaging::Guest for Component {
    /// The host calls this for each event of a subject in `messaging.subscribes`. It commits the transaction after the
    /// call, together with the mark that this event is applied.
    fn handle(event: messaging::Event, tx: &Transaction) -> Result<(), Disposition> {
        let guest = String::from_utf8(event.payload).map_err(|_| Disposition::Reject("not UTF-8".into()))?;
        book::count(tx, &guest).map_err(retry)
    }
}

impl timers::Guest for Component {
    /// The host calls this when a timer is due. It commits the transaction after the call, and the timer is gone.
    fn handle(timer: Timer, _attempt: u32, tx: &Transaction) -> Result<(), Disposition> {
        book::remove(tx, &timer.key).map_err(retry)
    }
}

/// The host calls again, after a pause of its choice.
fn retry(_error: Error) -> Disposition {
    Disposition::Retry(None)
}

fn text(status: u16, text: &str) -> http::Response {
    http::Response {
        status,
        headers: vec![("content-type".into(), "text/plain; charset=utf-8".into())],
        body: text.into(),
    }
}
