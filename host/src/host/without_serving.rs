//! Plugins that are loaded in a host that serves nobody: `ticketing check`,
//! `ticketing plugin check` and `ticketing plugin test`.

use super::{
    Running, built_in,
    parts::{engine, open_database},
    rehearsal::RehearsalHost,
    rollout, services,
};
use crate::process_limits;
use anyhow::Context;
use host_api::{policy::NewPolicy, revisions::Source, settings::Grant, swap::Activation, verdict::Verdict};
use host_artifact::{Artifact, policy::policy_of};
use host_bus::EmbeddedBus;
use host_cli::offline::{Candidate, Offline, Opening};
use host_config::{Config, store::StoreConfig};
use host_database::HostDatabase;
use host_engine::Engine;
use host_plugin::{
    Revision, Rollout,
    rollout::{BuiltIn, Upload},
};
use std::{path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Loads every plugin of the settings, without a message to the bus or to other
/// hosts. This is `ticketing check`.
///
/// # Errors
/// Names the plugin or the setting that is wrong.
pub async fn check(config: &Config) -> anyhow::Result<Vec<Arc<Revision>>> {
    let folder = temporary_folder()?;
    let rollout = Unserved::open(config, folder.path(), new_engine(config)?).await?.running.rollout;
    rollout.start(built_in(config).await?, Duration::MAX).await?;
    Ok(rollout.registry.snapshot().plugins().map(|plugin| plugin.revision.clone()).collect())
}

/// The hosts of the commands that need one without a listener.
#[derive(Default)]
pub struct WithoutServing {
    /// The tests of one command share an engine, because its instances reserve much address
    /// space.
    engine: OnceCell<Arc<Engine>>,
}

impl Offline for WithoutServing {
    type Rehearsal = RehearsalHost;

    /// It reads, compiles, migrates, starts and probes the file in a temporary folder.
    async fn judge(&self, config: &Config, candidate: Candidate) -> anyhow::Result<Verdict> {
        let Candidate { bytes, manifest, active } = candidate;
        let folder = temporary_folder()?;
        let rollout = Unserved::open(config, folder.path(), new_engine(config)?).await?.running.rollout;
        let label = "what is active".to_owned();
        let active = active.map(|bytes| BuiltIn { label, bytes, source: Source::File, grants: None });
        rollout.start(active.into_iter().collect(), Duration::MAX).await?;
        let verdict = stage_with_all_rights(&rollout, bytes, manifest).await?;
        // The same file as the active one has been migrated, started and probed.
        if verdict.against.as_ref() != Some(&verdict.revision) {
            activate(&rollout, &verdict).await?;
        }
        Ok(verdict)
    }

    async fn rehearse(&self, config: &Config, opening: Opening) -> anyhow::Result<RehearsalHost> {
        let new = async || {
            let engine = new_engine(config)?;
            host_telemetry::start_silent_log(&config.log)?;
            Ok::<_, anyhow::Error>(engine)
        };
        RehearsalHost::open(config, self.engine.get_or_try_init(new).await?.clone(), opening).await
    }
}

/// The parts of a host that serves nobody.
pub(super) struct Unserved {
    pub(super) config: Config,
    pub(super) database: HostDatabase,
    pub(super) bus: Arc<EmbeddedBus>,
    pub(super) services: host_engine::Services,
    pub(super) running: Running,
}

impl Unserved {
    /// A host that keeps everything in one folder.
    pub(super) async fn open(config: &Config, folder: &Path, engine: Arc<Engine>) -> anyhow::Result<Self> {
        let store = StoreConfig { database_url: None, ..config.store.clone() };
        let config = Config { data_dir: folder.to_owned(), store, ..config.clone() };
        let secrets = config.secrets()?;
        let database = open_database(&config).await?;
        let bus = Arc::new(EmbeddedBus::open(database.clone(), &config.messaging, None).await?);
        let services = services(&config, &secrets, &database, bus.clone()).await?;
        let running = rollout(&config, engine, services.clone(), &database, None, None).await?;
        Ok(Self { config, database, bus, services, running })
    }
}

/// Gives a plugin all rights that its manifest asks for, and stages its file.
pub(super) async fn stage_with_all_rights(
    rollout: &Arc<Rollout>,
    bytes: Vec<u8>,
    manifest: Option<String>,
) -> anyhow::Result<Verdict> {
    let asked = Artifact::parse(bytes.clone(), manifest.as_deref())?.manifest;
    let policy = policy_of(&asked, Grant::ALL.into());
    rollout.set_policy(&asked.name, &NewPolicy { replaces: None, policy }).await?;
    let upload = Upload { bytes, manifest, name: None, by: String::new(), signature: None, dry_run: false };
    Ok(rollout.stage(upload, |_| true).await?.0)
}

/// Migrates, starts and probes a staged file.
pub(super) async fn activate(rollout: &Arc<Rollout>, verdict: &Verdict) -> anyhow::Result<()> {
    let activation = Activation { revision: verdict.revision.clone(), force: true, ..Activation::default() };
    rollout.activate(&verdict.plugin, &activation).await?;
    Ok(())
}

fn new_engine(config: &Config) -> anyhow::Result<Arc<Engine>> {
    process_limits::check(&config.engine)?;
    Ok(Arc::new(engine(config)?))
}

fn temporary_folder() -> anyhow::Result<TempDir> {
    tempfile::tempdir().context("no temporary folder can be made; choose another place for it (TMPDIR)")
}
