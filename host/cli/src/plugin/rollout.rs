//! What is served: activate, promote, roll back, pause, resume, remove.

use super::{
    client::{Answer, Client},
    failure::Failure,
    output::{Output, line},
    views::{PluginView, SwapReport},
};
use clap::Args;
use serde_json::json;

/// How a revision is swapped in.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Swap {
    /// Swap it in for this part of the requests alone, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=99))]
    pub(super) canary: Option<u8>,
    /// Let it have all requests by itself after so long, if it does no worse.
    #[arg(long, value_name = "SECONDS", requires = "canary", value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    pub(super) promote_after: Option<u64>,
    /// Swap it in even if it does not fit what is active.
    #[arg(long)]
    pub(super) force: bool,
}

/// Swaps an uploaded revision in.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin activate hello 1.2.0+4f5a0c11
  ticketing plugin activate hello 1.2.0+4f5a0c11 --canary 10
  ticketing plugin activate hello 1.2.0+4f5a0c11 --canary 10 --promote-after 600")]
pub(super) struct Activate {
    /// The plugin.
    name: String,
    /// One of `ticketing plugin revisions NAME`.
    revision: String,
    #[command(flatten)]
    swap: Swap,
}

/// Gives the canary all requests.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ticketing plugin promote hello")]
pub(super) struct Promote {
    /// The plugin.
    name: String,
}

/// Goes back to the revision before, or ends a canary.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ticketing plugin rollback hello")]
pub(super) struct Rollback {
    /// The plugin.
    name: String,
}

/// Stops a plugin; its routes answer 503, its events and timers wait.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ticketing plugin pause hello")]
pub(super) struct Pause {
    /// The plugin.
    name: String,
}

/// Lets a plugin go on that was paused or quarantined.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ticketing plugin resume hello")]
pub(super) struct Resume {
    /// The plugin.
    name: String,
}

/// Takes a plugin out of service; its database and revisions are kept.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ticketing plugin remove hello")]
pub(super) struct Remove {
    /// The plugin.
    name: String,
}

impl Activate {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<SwapReport>(&activate(client, &self.name, &self.revision, &self.swap).await?)
    }
}

impl Promote {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<SwapReport>(&act(client, &self.name, "promote").await?)
    }
}

impl Rollback {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<SwapReport>(&act(client, &self.name, "rollback").await?)
    }
}

impl Pause {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<PluginView>(&act(client, &self.name, "pause").await?)
    }
}

impl Resume {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<PluginView>(&act(client, &self.name, "resume").await?)
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
pub(super) async fn activate(client: &Client, plugin: &str, revision: &str, swap: &Swap) -> Result<Answer, Failure> {
    let mut body = json!({ "revision": revision, "force": swap.force });
    if let (Some(percent), Some(fields)) = (swap.canary, body.as_object_mut()) {
        fields.insert("canary_percent".to_owned(), json!(percent));
        fields.extend(swap.promote_after.map(|seconds| ("promote_after_seconds".to_owned(), json!(seconds))));
    }
    client.post(&["plugins", plugin, "activate"], &body).await
}

async fn act(client: &Client, plugin: &str, action: &str) -> Result<Answer, Failure> {
    client.post(&["plugins", plugin, action], &json!({})).await
}
