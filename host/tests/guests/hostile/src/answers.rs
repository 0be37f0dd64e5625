//! Answers and log lines as the caller's script says.

use serde::Deserialize;
use ticketing_sdk::{Error, Request, Response, Result, log};

/// The script of one answer.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Script {
    status: u16,
    headers: Vec<(String, String)>,
    /// The number of further headers `x-n`.
    more_headers: usize,
    /// The length of each of their values.
    value_bytes: usize,
    body: String,
    /// The length of the body, if it is longer than `body`.
    body_bytes: usize,
    /// A line for the log.
    log: String,
    /// The number of times that the line is written.
    lines: u32,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            more_headers: 0,
            value_bytes: 1,
            body: String::new(),
            body_bytes: 0,
            log: String::new(),
            lines: 1,
        }
    }
}

/// Follows the script in the field `script` of the request.
pub(crate) fn follow(request: &Request) -> Result<Response> {
    let mut fields = request.fields()?;
    let script = fields
        .json("script", |json| serde_json::from_str::<Script>(json.unwrap_or("{}")).map_err(|error| error.to_string()));
    let Some(script) = script else { return Err(fields.into_error()) };
    if request.param("attack")? != "answer" {
        return Err(Error::not_found());
    }
    if !script.log.is_empty() {
        (0..script.lines).for_each(|_| log::warn("script", &script.log));
    }
    let (media_types, headers): (Vec<_>, Vec<_>) =
        script.headers.into_iter().partition(|(name, _)| name == "content-type");
    let mut body = script.body.into_bytes();
    body.resize(body.len().max(script.body_bytes), b'x');
    let mut response = match media_types.into_iter().next() {
        Some((_, media_type)) => Response::content(script.status, &media_type, body),
        None if body.is_empty() => Response::empty(script.status),
        None => Response::content(script.status, "text/plain", body),
    };
    for (name, value) in headers {
        response = response.header(&name, value);
    }
    for number in 0..script.more_headers {
        response = response.header(&format!("x-{number}"), "v".repeat(script.value_bytes));
    }
    Ok(response)
}
