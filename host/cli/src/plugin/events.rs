//! `ticketing events`: who publishes and who receives which events, and their schemas.

use super::{
    client::Client,
    failure::Failure,
    of_host::AsksHost,
    output::{Output, joined, table, text_of},
};
use clap::Args;
use host_api::events::{ReceiverView, SchemaView, SubjectDetails, SubjectView};
use serde::Deserialize;
use std::fmt::{self, Display, Formatter};

/// Lists the subjects of events with the plugins that publish and receive them. The number behind
/// a receiver counts the events that wait for it. With a subject, the command shows the schema of its payload and a
/// sample, which is made from the examples in the schema.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing events
  ticketing events order.completed
  ticketing events --json | jq -r '.[].subject'")]
pub struct Events {
    /// Only this subject, with the schema of its payload
    subject: Option<String>,
}

/// Subjects, one line each.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct SubjectTable(Vec<SubjectView>);

/// One subject, several lines.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct SubjectText(SubjectDetails);

impl AsksHost for Events {
    async fn ask(self, client: &Client, output: Output) -> Result<(), Failure> {
        match self.subject {
            None => output.answer::<SubjectTable>(&client.list(&["events"]).await?),
            Some(subject) => output.answer::<SubjectText>(&client.get(&["events", &subject]).await?),
        }
    }
}

impl Display for SubjectTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no plugin publishes or receives an event");
        }
        let mut table = table(&["SUBJECT", "SCHEMA", "PUBLISHED BY", "RECEIVED BY"]);
        for SubjectView { subject, publishers, receivers, has_schema } in &self.0 {
            let schema = if *has_schema { "yes" } else { "-" };
            let receivers = joined(receivers.iter().map(receiver));
            table.add_row([subject.clone(), schema.to_owned(), joined(publishers), receivers]);
        }
        f.write_str(&text_of(&table))
    }
}

impl Display for SubjectText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let SubjectDetails { view: SubjectView { subject, publishers, receivers, .. }, schemas } = &self.0;
        writeln!(f, "{subject}")?;
        writeln!(f, "  published by  {}", joined(publishers))?;
        write!(f, "  received by   {}", joined(receivers.iter().map(receiver)))?;
        if schemas.is_empty() {
            return write!(f, "\nno publisher has a schema of it");
        }
        for SchemaView { plugin, revision, schema, sample } in schemas {
            write!(f, "\n\nschema of {plugin} {revision}\n{schema:#}")?;
            if let Some(sample) = sample {
                write!(f, "\n\nsample, made from the schema\n{sample:#}")?;
            }
        }
        Ok(())
    }
}

/// A receiver with the events that wait for it.
fn receiver(ReceiverView { plugin, backlog, .. }: &ReceiverView) -> String {
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
        ], "has_schema": true }, { "subject": "b.made", "publishers": [], "receivers": [] }]"#;
        let text = serde_json::from_str::<SubjectTable>(rows).unwrap().to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["a.made", "yes", "a", "b", "(9),", "c,", "d", "(?)"]);
        assert_eq!(lines[2], ["b.made", "-", "-", "-"]);
    }

    #[test]
    fn a_subject_is_shown_with_its_schema_and_a_sample() {
        let subject = r#"{ "subject": "a.made", "publishers": ["a"], "receivers": [], "schemas": [
            { "plugin": "a", "revision": "1.0.0+ab", "schema": { "type": "object" }, "sample": { "id": "x" } }
        ] }"#;
        let text = serde_json::from_str::<SubjectText>(subject).unwrap().to_string();
        for part in ["published by  a", "schema of a 1.0.0+ab", "\"type\": \"object\"", "\"id\": \"x\""] {
            assert!(text.contains(part), "{text}");
        }
        let subject = r#"{ "subject": "a.made", "publishers": [], "receivers": [], "schemas": [] }"#;
        let text = serde_json::from_str::<SubjectText>(subject).unwrap().to_string();
        assert!(text.ends_with("no publisher has a schema of it"), "{text}");
    }
}
