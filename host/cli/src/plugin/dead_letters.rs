//! `dead-letters`: events and timers that no attempt could handle.

use super::{
    client::Client,
    failure::Failure,
    of_host::AsksHost,
    output::{Output, ago, line, size, table, text_of},
};
use clap::{Args, Subcommand};
use host_api::dead_letters::{DeadLetterDetail, DeadLetterSummary};
use http::Method;
use serde::Deserialize;
use std::fmt::{self, Display, Formatter};

/// Lists, shows, redelivers and discards dead letters.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing dead-letters list
  ticketing dead-letters show 3f9a1c
  ticketing dead-letters redeliver 3f9a1c
  ticketing dead-letters discard 3f9a1c")]
pub struct DeadLetters {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the dead letters, without their payloads; the newest is first.
    #[command(after_help = "Example:\n  ticketing dead-letters list --limit 1000")]
    List {
        /// The number of dead letters
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Shows one dead letter with its payload.
    #[command(after_help = "Example:\n  ticketing dead-letters show 3f9a1c")]
    Show {
        /// An id from `ticketing dead-letters list`
        id: String,
    },
    /// Delivers a dead letter again, as on its first attempt.
    #[command(after_help = "Example:\n  ticketing dead-letters redeliver 3f9a1c")]
    Redeliver {
        /// An id from `ticketing dead-letters list`
        id: String,
    },
    /// Deletes a dead letter for ever.
    #[command(after_help = "Example:\n  ticketing dead-letters discard 3f9a1c")]
    Discard {
        /// An id from `ticketing dead-letters list`
        id: String,
    },
}

/// Dead letters, one line each.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct DeadLetterTable(Vec<DeadLetterSummary>);

/// One dead letter.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct DeadLetterText(DeadLetterDetail);

impl AsksHost for DeadLetters {
    async fn ask(self, client: &Client, output: Output) -> Result<(), Failure> {
        const PATH: &str = "dead-letters";
        let done = |id: &str, what: &str| {
            if !output.json {
                line(&format!("dead letter {id} {what}"));
            }
            Ok(())
        };
        match self.action {
            Action::List { limit } => {
                let request = client.request_with(Method::GET, &[PATH], &[("limit", &limit.to_string())])?;
                output.answer::<DeadLetterTable>(&client.send(request).await?)
            }
            Action::Show { id } => output.answer::<DeadLetterText>(&client.get(&[PATH, &id]).await?),
            Action::Redeliver { id } => {
                client.send(client.request(Method::POST, &[PATH, &id, "redeliver"])?).await?;
                done(&id, "is delivered again")
            }
            Action::Discard { id } => {
                client.delete(&[PATH, &id]).await?;
                done(&id, "is deleted")
            }
        }
    }
}

impl Display for DeadLetterTable {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut rows = table(&["ID", "PLUGIN", "WHAT", "ATTEMPTS", "SINCE", "SIZE", "REASON"]);
        for letter in &self.0 {
            let what = if letter.subject.is_empty() { &letter.subject_id } else { &letter.subject };
            let bytes = usize::try_from(letter.payload_bytes).unwrap_or(usize::MAX);
            rows.add_row([
                letter.id.clone(),
                letter.component.clone(),
                what.clone(),
                letter.attempts.to_string(),
                ago(letter.set_aside_ms),
                size(bytes),
                letter.reason.lines().next().unwrap_or_default().chars().take(60).collect(),
            ]);
        }
        formatter.write_str(&text_of(&rows))
    }
}

impl Display for DeadLetterText {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let DeadLetterDetail { summary: letter, payload, .. } = &self.0;
        writeln!(formatter, "{} of {} from {}", letter.id, letter.component, letter.source)?;
        writeln!(formatter, "{} {}, {} attempts", letter.subject, letter.subject_id, letter.attempts)?;
        writeln!(formatter, "{}", letter.reason)?;
        let Some(payload) = payload else {
            return write!(formatter, "the role view sees no payloads; this one has {} bytes", letter.payload_bytes);
        };
        let bytes = hex::decode(payload).unwrap_or_default();
        write!(formatter, "{}", String::from_utf8_lossy(&bytes).escape_debug())
    }
}
