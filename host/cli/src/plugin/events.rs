//! `ticketing events`: who publishes and who receives which events, and their schemas.

use super::{
    client::Client,
    failure::Failure,
    of_host::AsksHost,
    output::{Output, joined, line, table, text_of, timestamp},
    stream::{self, Ended},
};
use clap::Args;
use host_api::events::{PublishedEvent, ReceiverView, SchemaView, SubjectDetails, SubjectView};
use host_base::printable::printable;
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
  ticketing events --watch
  ticketing events order.completed --watch --json | jq .payload
  ticketing events --json | jq -r '.[].subject'")]
pub struct Events {
    /// Only this subject, with the schema of its payload
    subject: Option<String>,
    /// Show the events that are published from now on, until Ctrl-C. Their payloads may contain personal
    /// data, so only an administrator can do this, and the audit has it.
    #[arg(long)]
    watch: bool,
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
            subject if self.watch => watch(client, output, subject.as_deref()).await,
            None => output.answer::<SubjectTable>(&client.list(&["events"]).await?),
            Some(subject) => output.answer::<SubjectText>(&client.get(&["events", &subject]).await?),
        }
    }
}

/// Shows events as they are published.
async fn watch(client: &Client, output: Output, subject: Option<&str>) -> Result<(), Failure> {
    let query: Vec<_> = subject.into_iter().map(|subject| ("subject", subject)).collect();
    let print = |event: &str| match output.json {
        true => line(&event),
        false => line(&published(event)),
    };
    match stream::follow(client, &["live-events"], &query, print).await? {
        Ended::ByReader => Ok(()),
        Ended::ByHost => Err(Failure::Failed("the host has ended the stream".to_owned())),
    }
}

/// One event on one line. An answer of another kind stays as it is.
fn published(event: &str) -> String {
    let Ok(event) = serde_json::from_str::<PublishedEvent>(event) else { return printable(event).into_owned() };
    let PublishedEvent { id, subject, source, time_ms, payload, payload_hex, payload_bytes, .. } = event;
    let payload = payload.map_or_else(|| payload_hex.unwrap_or_default(), |payload| payload.to_string());
    let text = format!("{} {subject} from {source} id={id} {payload} ({payload_bytes} bytes)", timestamp(time_ms));
    printable(&text).into_owned()
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
    fn a_published_event_is_one_line_without_control_characters() {
        let event = r#"{"id":"7","subject":"a.made","source":"a","time_ms":0,"payload_bytes":9,"payload":{"a":"\n"}}"#;
        assert!(published(event).ends_with(r#" a.made from a id=7 {"a":"\n"} (9 bytes)"#), "{}", published(event));
        let hex = r#"{"id":"\u001b[2J","subject":"a","source":"b","time_ms":0,"payload_bytes":1,"payload_hex":"00"}"#;
        assert!(published(hex).ends_with("id=\\u{1b}[2J 00 (1 bytes)"), "{}", published(hex));
        assert_eq!(published(r#"{"lost_events":4}"#), r#"{"lost_events":4}"#);
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
