//! `purge` and `reset`: commands that delete the data of a plugin.

use super::{
    client::Client,
    confirm::confirm,
    failure::Failure,
    output::{Output, line},
    views::SwapText,
};
use clap::Args;
use serde_json::json;

/// Deletes everything of a removed plugin: database, revisions, settings, policy, dead letters.
#[derive(Debug, Args)]
#[command(after_help = "\
Only an administrator can do this, and nobody can undo it. The plugin must be out of service.

Examples:
  ticketing plugin remove hello
  ticketing plugin purge hello
  ticketing plugin purge hello --yes")]
pub(super) struct Purge {
    /// The plugin's name
    name: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Empties the database of a plugin and starts the same revision again, for development.
#[derive(Debug, Args)]
#[command(after_help = "\
Only an administrator can do this, and nobody can undo it. The migrations run again.

Examples:
  ticketing plugin reset hello
  ticketing plugin reset hello --yes")]
pub(super) struct Reset {
    /// The plugin's name
    name: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Purge {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let deleted = format!("the database, revisions, settings, policy and dead letters of {}", self.name);
        confirm(&deleted, &self.name, self.yes)?;
        client.post(&["plugins", &self.name, "purge"], &json!({})).await?;
        if !output.json {
            line(&format!("nothing of {} is left", self.name));
        }
        Ok(())
    }
}

impl Reset {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        confirm(&format!("all that {} has stored", self.name), &self.name, self.yes)?;
        output.answer::<SwapText>(&client.post(&["plugins", &self.name, "reset"], &json!({})).await?)
    }
}
