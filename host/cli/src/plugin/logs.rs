//! `logs`: the last log lines of a plugin, and new ones as they appear.

use super::{
    client::Client,
    failure::Failure,
    output::{Output, line},
    stream::{self, Ended},
};
use clap::Args;
use host_base::{clock::now_ms, printable::printable};
use serde_json::Value;
use std::time::Duration;

/// Shows the last lines of a plugin's log.
#[derive(Debug, Args)]
#[command(after_help = "\
The host keeps up to 500 lines of each plugin until it ends. Lines about requests are not among them; -f shows
them as they appear. It goes on until Ctrl-C.

Examples:
  ticketing plugin logs hello
  ticketing plugin logs hello --since 10m
  ticketing plugin logs hello -f --level warn --text timeout
  ticketing plugin logs hello -f --json | jq .message")]
pub(super) struct Logs {
    /// The plugin's name
    name: String,
    /// Show the lines from now on too
    #[arg(short, long)]
    follow: bool,
    /// Show this number of lines from before, at most 500 [default: 100, or all with --since]
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u16).range(0..=500))]
    last: Option<u16>,
    /// Only lines that are not older than this, such as 90s, 10m, 2h or 1day
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Only lines of this level and of more important ones
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    level: Option<String>,
    /// Only lines with this text, in any case
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

/// The number of lines from before if the user names none.
const LAST: u16 = 100;

impl Logs {
    /// The lines of a plugin from now on.
    pub(super) fn of(name: String) -> Self {
        Self { name, follow: true, last: Some(0), since: None, level: None, text: None }
    }

    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let query = self.query(now_ms());
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let path = ["plugins", &self.name, "logs"];
        let print = |event: &str| match output.json {
            true => line(&event),
            false => line(&readable(event)),
        };
        if stream::follow(client, &path, &query, print).await? == Ended::ByReader {
            return Ok(());
        }
        match self.follow {
            true => Err(Failure::Failed("the host has ended the log".to_owned())),
            false => Ok(()),
        }
    }

    fn query(&self, now_ms: u64) -> Vec<(&'static str, String)> {
        let since = self.since.map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let last = self.last.or(if since.is_none() { Some(LAST) } else { None });
        let given = [
            ("follow", Some(self.follow.to_string())),
            ("last", last.map(|last| last.to_string())),
            ("since_ms", since.map(|since| now_ms.saturating_sub(since).to_string())),
            ("level", self.level.clone()),
            ("text", self.text.clone()),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
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
    fn the_query_has_the_lines_from_before() {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            logs: Logs,
        }
        let query = |flags: &str| {
            let words = ["logs", "hello"].into_iter().chain(flags.split_whitespace());
            let query = <Cli as clap::Parser>::try_parse_from(words).map(|cli| cli.logs.query(1_000_000));
            query.map(|query| query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
        };
        for (flags, expected) in [
            ("", "follow=false&last=100"),
            ("-f --last 0 --level warn", "follow=true&last=0&level=warn"),
            ("--since 10m --text x", "follow=false&since_ms=400000&text=x"),
            ("--since 1000years", "follow=false&since_ms=0"),
            ("--since 90s --last 5", "follow=false&last=5&since_ms=910000"),
        ] {
            assert_eq!(query(flags).unwrap(), expected, "{flags}");
        }
        for wrong in ["--last 501", "--last -1", "--since", "--since 10", "--since yesterday", "--level loud"] {
            assert!(query(wrong).is_err(), "{wrong}");
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
