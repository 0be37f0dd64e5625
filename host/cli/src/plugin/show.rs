//! `list`, `show` and `revisions`: commands that only read.

use super::{
    client::Client,
    failure::Failure,
    output::Output,
    views::{DetailsText, PluginTable, RevisionTable},
};
use clap::Args;

/// Lists the plugins.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin list
  ticketing plugin list --json | jq -r '.[].name'")]
pub(super) struct List {}

/// Shows one plugin with its settings, limits and grants.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ticketing plugin show hello")]
pub(super) struct Show {
    /// The plugin's name
    name: String,
}

/// Lists the revisions of a plugin that the host keeps.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ticketing plugin revisions hello")]
pub(super) struct Revisions {
    /// The plugin's name
    name: String,
}

impl List {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<PluginTable>(&client.list(&["plugins"]).await?)
    }
}

impl Show {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<DetailsText>(&client.get(&["plugins", &self.name]).await?)
    }
}

impl Revisions {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<RevisionTable>(&client.list(&["plugins", &self.name, "revisions"]).await?)
    }
}
