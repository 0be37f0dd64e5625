//! `list`, `show`, `revisions` and `audit`: commands that only read.

use super::{
    client::Client,
    failure::Failure,
    output::Output,
    views::{AuditTable, DetailsText, PluginTable, RevisionTable},
};
use clap::Args;
use http::Method;

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

/// Shows the record of changes: the time, the token's name, the change and the revision.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin audit
  ticketing plugin audit --limit 1000 --json")]
pub(super) struct Audit {
    /// The number of entries; the newest is first
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
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

impl Audit {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let request = client.request_with(Method::GET, &["audit"], &[("limit", &self.limit.to_string())])?;
        output.answer::<AuditTable>(&client.send(request).await?)
    }
}
