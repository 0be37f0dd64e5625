//! `ticketing events`: who publishes and who receives which events.

use super::{
    client::Client,
    failure::Failure,
    of_host::AsksHost,
    output::{Output, joined, table, text_of},
};
use clap::Args;
use host_api::events::{ReceiverView, SubjectView};
use serde::Deserialize;
use std::fmt::{self, Display, Formatter};

/// Lists the subjects of events with the plugins that publish and receive them. The number behind
/// a receiver counts the events that wait for it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing events
  ticketing events --json | jq -r '.[].subject'")]
pub struct Events {}

/// Subjects, one line each.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct SubjectTable(Vec<SubjectView>);

impl AsksHost for Events {
    async fn ask(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<SubjectTable>(&client.list(&["events"]).await?)
    }
}

impl Display for SubjectTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no plugin publishes or receives an event");
        }
        let mut table = table(&["SUBJECT", "PUBLISHED BY", "RECEIVED BY"]);
        for SubjectView { subject, publishers, receivers } in &self.0 {
            table.add_row([subject.clone(), joined(publishers), joined(receivers.iter().map(receiver))]);
        }
        f.write_str(&text_of(&table))
    }
}

/// A receiver with the events that wait for it.
fn receiver(ReceiverView { plugin, backlog }: &ReceiverView) -> String {
    match backlog.map(|backlog| backlog.pending.saturating_add(backlog.unacknowledged)) {
        None => format!("{plugin} (?)"),
        Some(0) => plugin.clone(),
        Some(waiting) => format!("{plugin} ({waiting})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_one_line_with_what_waits_for_its_receivers() {
        let rows = r#"[{ "subject": "a.made", "publishers": ["a"], "receivers": [
            { "plugin": "b", "backlog": { "pending": 7, "unacknowledged": 2, "redelivered": 1 } },
            { "plugin": "c", "backlog": { "pending": 0, "unacknowledged": 0, "redelivered": 0 } },
            { "plugin": "d", "backlog": null }
        ] }, { "subject": "b.made", "publishers": [], "receivers": [] }]"#;
        let text = serde_json::from_str::<SubjectTable>(rows).unwrap().to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["a.made", "a", "b", "(9),", "c,", "d", "(?)"]);
        assert_eq!(lines[2], ["b.made", "-", "-"]);
    }
}
