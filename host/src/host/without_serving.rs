//! Plugins that are loaded in a host that serves nobody: `ticketing check` and
//! `ticketing plugin check`.

use super::{
    built_in,
    parts::{engine, open_database},
    rollout, services,
};
use crate::process_limits;
use anyhow::Context;
use host_api::{policy::NewPolicy, revisions::Source, settings::Grant, swap::Activation, verdict::Verdict};
use host_artifact::{Artifact, policy::policy_of};
use host_bus::{Bus, EmbeddedBus};
use host_cli::Candidate;
use host_config::Config;
use host_plugin::{
    Revision, Rollout,
    rollout::{BuiltIn, Upload},
};
use std::{path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;

/// Loads every plugin of the settings, without a message to the bus or to other
/// hosts. This is `ticketing check`.
///
/// # Errors
/// Names the plugin or the setting that is wrong.
pub async fn check(config: &Config) -> anyhow::Result<Vec<Arc<Revision>>> {
    let folder = temporary_folder()?;
    let rollout = in_folder(config, folder.path()).await?;
    rollout.start(built_in(config).await?, Duration::MAX).await?;
    Ok(rollout.registry.snapshot().plugins().map(|plugin| plugin.revision.clone()).collect())
}

/// Judges a file as a host does that grants everything. It reads, compiles,
/// migrates, starts and probes the file in a temporary folder.
///
/// # Errors
/// The reason why a host would refuse the file.
pub async fn judge(config: &Config, candidate: Candidate) -> anyhow::Result<Verdict> {
    let Candidate { bytes, manifest, active } = candidate;
    let folder = temporary_folder()?;
    let rollout = in_folder(config, folder.path()).await?;
    let label = "what is active".to_owned();
    let active = active.map(|bytes| BuiltIn { label, bytes, source: Source::File, grants: None });
    rollout.start(active.into_iter().collect(), Duration::MAX).await?;
    let asked = Artifact::parse(bytes.clone(), manifest.as_deref())?.manifest;
    let name = asked.name.clone();
    let policy = policy_of(&asked, Grant::ALL.into());
    rollout.set_policy(&name, &NewPolicy { replaces: None, policy }).await?;
    let upload = Upload { bytes, manifest, name: None, by: String::new(), signature: None, dry_run: false };
    let (verdict, _) = rollout.stage(upload, |_| true).await?;
    if verdict.against.as_ref() == Some(&verdict.revision) {
        // The same file as the active one: it has been migrated, started and
        // probed.
        return Ok(verdict);
    }
    let activation = Activation { revision: verdict.revision.clone(), force: true, ..Activation::default() };
    rollout.activate(&name, &activation).await?;
    Ok(verdict)
}

fn temporary_folder() -> anyhow::Result<TempDir> {
    tempfile::tempdir().context("no temporary folder can be made; choose another place for it (TMPDIR)")
}

/// The rollout of a host that keeps everything in one folder and serves nobody.
async fn in_folder(config: &Config, folder: &Path) -> anyhow::Result<Arc<Rollout>> {
    process_limits::check(&config.engine)?;
    let store = host_config::store::StoreConfig { database_url: None, ..config.store.clone() };
    let config = Config { data_dir: folder.to_owned(), store, ..config.clone() };
    let secrets = config.secrets()?;
    let database = open_database(&config).await?;
    let bus: Arc<dyn Bus> = Arc::new(EmbeddedBus::open(database.clone(), &config.messaging, None).await?);
    let services = services(&config, &secrets, &database, bus).await?;
    Ok(rollout(&config, engine(&config)?, services, &database, None, None).await?.rollout)
}
