//! `ticketing timers`: how many timers each plugin has set, and which are due.

use super::{
    client::Client,
    failure::Failure,
    of_host::AsksHost,
    output::{Output, span, table, text_of, until},
};
use clap::Args;
use host_api::timers::{MAX_COUNTED_TIMERS, TimersView};
use serde::Deserialize;
use std::fmt::{self, Display, Formatter};

/// Counts the timers of each plugin: those that are set, those that are due, and the next one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing timers
  ticketing timers --json | jq -r '.[] | select(.timers.due > 0) | .plugin'")]
pub struct Timers {}

/// Plugins with their timers, one line each.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct TimersTable(Vec<TimersView>);

impl AsksHost for Timers {
    async fn ask(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<TimersTable>(&client.list(&["timers"]).await?)
    }
}

impl Display for TimersTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no plugin has a database, so none can set a timer");
        }
        let mut table = table(&["PLUGIN", "STATUS", "SET", "DUE", "OVERDUE", "NEXT"]);
        for row in &self.0 {
            let timers = row.timers.as_ref();
            let or_unknown = |text: Option<String>| text.unwrap_or_else(|| "?".to_owned());
            table.add_row([
                row.plugin.clone(),
                row.status.to_string(),
                or_unknown(timers.map(|timers| count(timers.set))),
                or_unknown(timers.map(|timers| count(timers.due))),
                or_unknown(timers.map(|timers| if timers.due > 0 { span(timers.overdue_ms) } else { "-".to_owned() })),
                or_unknown(timers.map(|timers| timers.next_due_ms.map_or_else(|| "-".to_owned(), until))),
            ]);
        }
        f.write_str(&text_of(&table))
    }
}

/// A count that ends at the limit is not the whole number.
fn count(value: u64) -> String {
    if value >= MAX_COUNTED_TIMERS.into() { format!("{value}+") } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_has_one_line_and_a_silent_database_is_told() {
        let rows = r#"[
            { "plugin": "a", "status": "active", "timers": { "set": 10000, "due": 1, "overdue_ms": 90000 } },
            { "plugin": "b", "status": "paused", "timers": null }
        ]"#;
        let text = serde_json::from_str::<TimersTable>(rows).unwrap().to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["a", "active", "10000+", "1", "90", "s", "-"]);
        assert_eq!(lines[2], ["b", "paused", "?", "?", "?", "?"]);
        assert!(TimersTable(Vec::new()).to_string().starts_with("no plugin"));
    }
}
