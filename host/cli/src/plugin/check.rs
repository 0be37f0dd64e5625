//! `check`: what a host would say of a file, without one.

use super::{client::Answer, failure::Failure, files, output::Output, views::Verdict};
use crate::Candidate;
use clap::Args;
use host_artifact::compatibility::Verdict as HostVerdict;
use host_config::{Config, Flags};
use std::path::PathBuf;

/// Checks a plugin file as a host would, without one.
///
/// It is read, compiled, migrated in a folder that is thrown away, started and
/// probed, with every grant. Ends with 6 if a host would refuse it, or if it
/// does not fit the file that it is compared with. What it would change on a
/// host that runs, `diff` says.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin check hello.wasm
  ticketing plugin check hello.wasm --against hello-1.0.wasm
  ticketing plugin check page.wasm --manifest page.toml --json")]
pub(super) struct Check {
    /// The plugin file.
    file: PathBuf,
    /// A plugin.toml, for a component that carries none or in place of its own.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// The plugin file that is taken to be active.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

impl Check {
    pub(super) async fn run(
        self,
        output: Output,
        judge: impl AsyncFnOnce(&Config, Candidate) -> anyhow::Result<HostVerdict>,
    ) -> Result<(), Failure> {
        let bytes = files::plugin(&self.file)?;
        let manifest = self.manifest.as_deref().map(files::text).transpose()?;
        let active = self.against.as_deref().map(files::plugin).transpose()?;
        let flags = Flags { bundled: Some("false".to_owned()), ..Flags::default() };
        let config = Config::load(&flags, []).map_err(|error| Failure::Failed(error.to_string()))?;
        let verdict = judge(&config, Candidate { bytes, manifest, active }).await;
        let verdict = verdict.map_err(|error| Failure::Incompatible(format!("{}: {error:#}", self.file.display())))?;
        let text = serde_json::to_string(&verdict).map_err(|error| Failure::Failed(error.to_string()))?;
        let answer = Answer { text };
        output.answer::<Verdict>(&answer)?;
        answer.read::<Verdict>()?.fits()
    }
}
