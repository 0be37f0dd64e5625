//! `dead-letters`: events and timers that no attempt could handle.

use super::{
    client::{Answer, Client},
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
  ticketing dead-letters redeliver --plugin hello
  ticketing dead-letters discard 3f9a1c --reason 'a duplicate'")]
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
        /// Only those of this plugin
        #[arg(long, value_name = "NAME")]
        plugin: Option<String>,
    },
    /// Shows one dead letter with its payload.
    #[command(after_help = "Example:\n  ticketing dead-letters show 3f9a1c")]
    Show {
        /// An id from `ticketing dead-letters list`
        id: String,
    },
    /// Delivers dead letters again, as on their first attempt.
    #[command(
        after_help = "Examples:\n  ticketing dead-letters redeliver 3f9a1c 77b0aa\n  ticketing dead-letters redeliver --plugin hello"
    )]
    Redeliver {
        /// Ids from `ticketing dead-letters list`
        #[arg(required_unless_present = "plugin", conflicts_with = "plugin")]
        ids: Vec<String>,
        /// The newest 1,000 dead letters of this plugin
        #[arg(long, value_name = "NAME")]
        plugin: Option<String>,
    },
    /// Deletes dead letters for ever.
    #[command(after_help = "Example:\n  ticketing dead-letters discard 3f9a1c --reason 'a duplicate'")]
    Discard {
        /// Ids from `ticketing dead-letters list`
        #[arg(required = true)]
        ids: Vec<String>,
        /// Why nobody needs them; the audit keeps it
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
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

const PATH: &str = "dead-letters";
/// The most dead letters on a page of the API.
const MOST_ROWS: u32 = 1_000;

impl AsksHost for DeadLetters {
    async fn ask(self, client: &Client, output: Output) -> Result<(), Failure> {
        match self.action {
            Action::List { limit, plugin } => {
                output.answer::<DeadLetterTable>(&list(client, limit, plugin.as_deref()).await?)
            }
            Action::Show { id } => output.answer::<DeadLetterText>(&client.get(&[PATH, &id]).await?),
            Action::Redeliver { ids, plugin } => {
                let ids = match plugin {
                    Some(plugin) => ids_of(client, &plugin).await?,
                    None => ids,
                };
                for id in &ids {
                    client.send(client.request(Method::POST, &[PATH, id, "redeliver"])?).await?;
                    tell(output, id, "is delivered again");
                }
                Ok(())
            }
            Action::Discard { ids, reason } => {
                let query: Vec<_> = reason.iter().map(|reason| ("reason", reason.as_str())).collect();
                for id in &ids {
                    client.send(client.request_with(Method::DELETE, &[PATH, id], &query)?).await?;
                    tell(output, id, "is deleted");
                }
                Ok(())
            }
        }
    }
}

async fn list(client: &Client, limit: u32, plugin: Option<&str>) -> Result<Answer, Failure> {
    let limit = limit.to_string();
    let query = [Some(("limit", limit.as_str())), plugin.map(|plugin| ("plugin", plugin))];
    let query: Vec<_> = query.into_iter().flatten().collect();
    client.send(client.request_with(Method::GET, &[PATH], &query)?).await
}

async fn ids_of(client: &Client, plugin: &str) -> Result<Vec<String>, Failure> {
    let letters: Vec<DeadLetterSummary> = list(client, MOST_ROWS, Some(plugin)).await?.read()?;
    Ok(letters.into_iter().map(|letter| letter.id).collect())
}

fn tell(output: Output, id: &str, what: &str) {
    if !output.json {
        line(&format!("dead letter {id} {what}"));
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
