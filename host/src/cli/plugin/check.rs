//! `check`: what a host would say of a file, without one.

use super::{
    failure::Failure,
    files,
    output::{Output, joined, line, size},
};
use crate::{
    cli::Flags,
    config::{Config, plugins::Grant},
    host,
};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Checks a plugin file as a host would, without one.
///
/// It is read, compiled, migrated in a folder that is thrown away, and started
/// once, with every grant. Ends with 6 if a host would refuse it. What it would
/// change on a host that runs, `diff` says.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin check hello.wasm
  ticketing plugin check hello.wasm --json")]
pub(super) struct Check {
    /// The plugin file.
    file: PathBuf,
}

impl Check {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        files::plugin(&self.file)?;
        let flags = Flags { plugins: vec![self.file.clone()], bundled: Some("false".to_owned()), ..Flags::default() };
        let mut config = Config::load(&flags, []).map_err(|error| Failure::Failed(error.to_string()))?;
        for plugin in &mut config.plugins.extra {
            plugin.grants = Some(Grant::ALL.into());
        }
        let revisions = host::check(&config).await.map_err(|error| Failure::Incompatible(format!("{error:#}")))?;
        for revision in revisions {
            let manifest = &revision.manifest;
            if output.json {
                line(&json!({
                    "plugin": manifest.name,
                    "version": manifest.version,
                    "revision": revision.id,
                    "digest": revision.digest,
                    "size_bytes": revision.size_bytes,
                    "imports": revision.imports,
                }));
                continue;
            }
            line(&format!("{} {}  {}", manifest.name, revision.id, size(revision.size_bytes as u64)));
            line(&format!("  imports     {}", joined(&revision.imports)));
            for route in &manifest.routes {
                line(&format!("  route       {} {}", route.methods.join(","), route.path));
            }
            line(&"a host can run it");
        }
        Ok(())
    }
}
