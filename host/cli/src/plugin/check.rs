//! `check`: a host's verdict on a file, without a host.

use super::{failure::Failure, files, output::Output, plugin_file::PluginFile, views::VerdictText};
use crate::offline::{Candidate, Offline};
use clap::Args;
use host_config::{Config, Flags};
use std::path::PathBuf;

/// Checks a plugin file as a host would, without a host.
///
/// The command reads and compiles the file, applies its migrations in a temporary folder, and starts and probes
/// it with every grant. The exit code is 6 if a host would refuse the file, or if it is not compatible with the
/// file of --against. `diff` shows what the file would change on a running host.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin check hello.wasm
  ticketing plugin check hello.wasm --against hello-1.0.wasm
  ticketing plugin check page.wasm --manifest page.toml --json")]
pub(super) struct Check {
    /// The plugin file, or its place in a registry: oci://REGISTRY/REPOSITORY:TAG
    file: PluginFile,
    /// A plugin.toml that replaces the manifest in the file
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// The plugin file to compare with, as if it were active
    #[arg(long, value_name = "FILE")]
    against: Option<PluginFile>,
}

impl Check {
    pub(super) async fn run(self, output: Output, offline: &impl Offline) -> Result<(), Failure> {
        let bytes = self.file.read().await?.bytes;
        let manifest = self.manifest.as_deref().map(files::text).transpose()?;
        let active = match &self.against {
            Some(active) => Some(active.read().await?.bytes),
            None => None,
        };
        let flags = Flags { bundled: Some("false".to_owned()), ..Flags::default() };
        let config = Config::load(&flags, []).map_err(|error| Failure::Failed(error.to_string()))?;
        let verdict = offline.judge(&config, Candidate { bytes, manifest, active }).await;
        let verdict = verdict.map_err(|error| Failure::Incompatible(format!("{}: {error:#}", self.file)))?;
        let verdict = VerdictText(verdict);
        output.value(&verdict)?;
        verdict.require_compatible()
    }
}
