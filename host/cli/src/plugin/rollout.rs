//! `activate`, `promote`, `rollback`, `pause`, `resume` and `remove`: commands
//! that change which revision serves.

use super::{
    client::{Answer, Client},
    failure::Failure,
    output::{Output, line},
    views::{PluginText, SwapText},
};
use clap::Args;
use host_api::swap::Activation;
use serde_json::json;

/// The way in which a revision is swapped in.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Swap {
    /// Swap it in only for this part of the requests, in percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=99))]
    pub(crate) canary: Option<u8>,
    /// Give it all requests after this time, if it does no worse
    #[arg(long, value_name = "SECONDS", requires = "canary", value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    pub(crate) promote_after: Option<u64>,
    /// Swap it in even if it is not compatible with the active revision
    #[arg(long)]
    pub(crate) force: bool,
}

/// Swaps an uploaded revision in.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin activate hello 1.2.0+4f5a0c11
  ticketing plugin activate hello 1.2.0+4f5a0c11 --canary 10
  ticketing plugin activate hello 1.2.0+4f5a0c11 --canary 10 --promote-after 600")]
pub(super) struct Activate {
    /// The plugin's name
    name: String,
    /// A revision from `ticketing plugin revisions NAME`
    revision: String,
    #[command(flatten)]
    swap: Swap,
}

/// Gives the canary all requests.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ticketing plugin promote hello")]
pub(super) struct Promote {
    /// The plugin's name
    name: String,
}

/// Returns to the previous revision, or ends a canary.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ticketing plugin rollback hello")]
pub(super) struct Rollback {
    /// The plugin's name
    name: String,
}

/// Pauses a plugin: its routes answer 503, its events and timers wait.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ticketing plugin pause hello")]
pub(super) struct Pause {
    /// The plugin's name
    name: String,
}

/// Lets a paused or quarantined plugin serve again.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ticketing plugin resume hello")]
pub(super) struct Resume {
    /// The plugin's name
    name: String,
}

/// Takes a plugin out of service; the host keeps its database and revisions.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ticketing plugin remove hello")]
pub(super) struct Remove {
    /// The plugin's name
    name: String,
}

impl Activate {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<SwapText>(&activate(client, &self.name, &self.revision, &self.swap).await?)
    }
}

impl Promote {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<SwapText>(&act(client, &self.name, "promote").await?)
    }
}

impl Rollback {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<SwapText>(&act(client, &self.name, "rollback").await?)
    }
}

impl Pause {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<PluginText>(&act(client, &self.name, "pause").await?)
    }
}

impl Resume {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<PluginText>(&act(client, &self.name, "resume").await?)
    }
}

impl Remove {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        client.delete(&["plugins", &self.name]).await?;
        if !output.json {
            line(&format!("{} is out of service", self.name));
        }
        Ok(())
    }
}

/// Swaps a revision in.
pub(crate) async fn activate(client: &Client, plugin: &str, revision: &str, swap: &Swap) -> Result<Answer, Failure> {
    let activation = Activation {
        revision: revision.to_owned(),
        canary_percent: swap.canary,
        promote_after_seconds: swap.promote_after,
        force: swap.force,
    };
    client.post(&["plugins", plugin, "activate"], &activation).await
}

/// Takes a step that needs no other information, such as `pause`.
pub(crate) async fn act(client: &Client, plugin: &str, action: &str) -> Result<Answer, Failure> {
    client.post(&["plugins", plugin, action], &json!({})).await
}
