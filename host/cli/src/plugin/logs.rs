//! `logs`: the log lines of a plugin, as they appear.

use super::{
    client::Client,
    failure::Failure,
    output::{Output, is_closed, line},
};
use clap::Args;
use host_base::printable::printable;
use http::Method;
use serde_json::Value;

/// Shows the lines that a plugin logs from now on, until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin logs hello -f
  ticketing plugin logs hello -f --level warn --text timeout
  ticketing plugin logs hello -f --json | jq .message")]
pub(super) struct Logs {
    /// The plugin's name
    name: String,
    /// As for `tail`; the command always follows the log
    #[arg(short, long)]
    follow: bool,
    /// Only lines of this level and of more important ones
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    level: Option<String>,
    /// Only lines with this text, in any case
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

impl Logs {
    /// All lines of a plugin.
    pub(super) fn of(name: String) -> Self {
        Self { name, follow: true, level: None, text: None }
    }

    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let filters = [("level", &self.level), ("text", &self.text)];
        let filters: Vec<_> = filters.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
        let request = client.request_with(Method::GET, &["plugins", &self.name, "logs"], &filters)?;
        let mut response = client.open(request.header("accept", "text/event-stream")).await?;
        let mut events = Events::default();
        while let Some(chunk) = response.chunk().await.map_err(|error| client.broken(&error))? {
            for event in events.feed(&chunk) {
                match output.json {
                    true => line(&event),
                    false => line(&readable(&event)),
                }
                if is_closed() {
                    return Ok(());
                }
            }
        }
        Err(Failure::Failed("the host has ended the log".to_owned()))
    }
}

/// Reads the `data` of server-sent events that arrive in pieces.
#[derive(Default)]
struct Events {
    unfinished: Vec<u8>,
    data: Vec<String>,
}

impl Events {
    /// The data of the events that are complete with this piece.
    fn feed(&mut self, chunk: &[u8]) -> Vec<String> {
        self.unfinished.extend_from_slice(chunk);
        let mut complete = Vec::new();
        while let Some(end) = self.unfinished.iter().position(|byte| *byte == b'\n') {
            let rest = self.unfinished.split_off(end + 1);
            let text = String::from_utf8_lossy(&self.unfinished).trim_end_matches(['\r', '\n']).to_owned();
            self.unfinished = rest;
            match text.strip_prefix("data:") {
                Some(data) => self.data.push(data.strip_prefix(' ').unwrap_or(data).to_owned()),
                None if text.is_empty() && !self.data.is_empty() => {
                    complete.push(std::mem::take(&mut self.data).join("\n"));
                }
                None => {}
            }
        }
        complete
    }
}

/// One log line for people: time, level, message, and the other fields as
/// `key=value`.
fn readable(event: &str) -> String {
    let Ok(Value::Object(mut entry)) = serde_json::from_str::<Value>(event) else {
        return printable(event).into_owned();
    };
    if let Some(Value::Object(fields)) = entry.remove("fields") {
        entry.extend(fields);
    }
    let mut take = |name: &str| match entry.remove(name) {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let mut text = format!("{} {:<5} {}", take("timestamp"), take("level"), take("message"));
    for (name, value) in entry.iter().filter(|(name, _)| *name != "target") {
        match value {
            Value::String(value) if value.is_empty() => {}
            Value::String(value) => text.push_str(&format!(" {name}={value}")),
            other => text.push_str(&format!(" {name}={other}")),
        }
    }
    printable(text.trim_start()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_from_pieces_of_any_size() {
        let stream = ": hello\n\ndata: {\"a\":1}\nid: 7\n\ndata:one\r\ndata: two\r\n\r\ndata: unfinished\n";
        for size in 1..stream.len() {
            let mut events = Events::default();
            let found: Vec<_> = stream.as_bytes().chunks(size).flat_map(|chunk| events.feed(chunk)).collect();
            assert_eq!(found, ["{\"a\":1}", "one\ntwo"], "in pieces of {size}");
        }
    }

    #[test]
    fn a_log_line_is_printed_for_people() {
        let event =
            r#"{"timestamp":"T","level":"INFO","target":"plugin","fields":{"message":"hi","call":"7","context":""}}"#;
        assert_eq!(readable(event), "T INFO  hi call=7");
        assert_eq!(readable("not JSON"), "not JSON");
        let forged = r#"{"timestamp":"T","level":"INFO","message":"a\nT ERROR forged\u001b[2K\u202e","b":"c\rd"}"#;
        assert_eq!(readable(forged), "T INFO  a\\nT ERROR forged\\u{1b}[2K\\u{202e} b=c\\rd");
    }
}
