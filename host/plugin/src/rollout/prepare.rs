//! The one path from a plugin's file to a revision that can serve: it loads the
//! file, starts instances and asks the health path. Start, upload, swap and the
//! decisions of other hosts use it.

use super::{RolloutError, probe::probe};
use crate::{
    Revision,
    archive::{Archive, Record, Settings},
    disk_quotas::quotas_of,
    loader::{Compiled, LoadError, Loader},
    policies::Policies,
    registry::Standing,
};
use host_api::{
    policy::{Excess, Policy},
    revisions::Source,
    swap::ProbeView,
};
use host_artifact::{Artifact, policy::Rights};
use host_config::{quotas::QuotasConfig, uploads::UploadsConfig};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

const UNSIGNED_MANIFEST: &str =
    "The manifest beside the component is not signed: put it into the component and sign that";

/// The number of instances that are created before a revision serves.
const WARM_INSTANCES: usize = 4;

/// Makes revisions that can serve.
pub struct Preparer {
    /// Makes revisions of files.
    pub loader: Loader,
    /// The rights of plugins.
    pub policies: Policies,
    /// The keys of the signers, and whether files must be signed.
    pub(super) uploads: UploadsConfig,
    pub(super) archive: Archive,
    /// The plugins of the binary and of the settings, by name. The start fills
    /// it.
    built_in: Mutex<BTreeMap<String, Origin>>,
}

/// A built-in plugin, once its file has been read.
#[derive(Clone)]
pub(super) struct Origin {
    /// Its name in error messages.
    pub(super) label: String,
    pub(super) record: Record,
    pub(super) bytes: Arc<[u8]>,
}

/// A revision that can serve, and the report of its preparation.
pub(super) struct Prepared {
    pub(super) revision: Arc<Revision>,
    /// The migrations that ran.
    pub(super) migrations: Vec<String>,
    pub(super) warm_instances: usize,
    /// The answer of its health path.
    pub(super) probe: Option<ProbeView>,
}

impl Preparer {
    /// Nothing is built in yet.
    pub fn new(loader: Loader, archive: Archive, policies: Policies, uploads: UploadsConfig) -> Self {
        Self { loader, policies, uploads, archive, built_in: Mutex::default() }
    }

    /// Remembers a built-in plugin.
    pub(super) fn add_origin(&self, origin: Origin) {
        self.built_in.lock().insert(origin.record.plugin.clone(), origin);
    }

    /// The built-in plugin of this name.
    pub(super) fn origin(&self, plugin: &str) -> Option<Origin> {
        self.built_in.lock().get(plugin).cloned()
    }

    /// The policy of a plugin. The settings file of the host may name higher
    /// limits.
    pub fn policy(&self, plugin: &str) -> Arc<Policy> {
        let policy = self.policies.of(plugin);
        let rights = Rights { plugin, policy: &policy };
        match rights.raised(&self.loader.plugins.limits(plugin)) {
            Some(raised) => Arc::new(raised),
            None => policy,
        }
    }

    /// The requests of a file that the policy of its plugin does not allow.
    pub(super) fn excesses(&self, compiled: &Compiled, settings: &Settings) -> Result<Vec<Excess>, RolloutError> {
        let policy = self.policy(&compiled.artifact.manifest.name);
        Ok(self.loader.excesses(compiled, &policy, settings)?)
    }

    /// Refuses a revision that asks for more than the policy of its plugin
    /// allows. The policy may have changed since the upload.
    pub(super) fn require_allowed(&self, compiled: &Compiled, record: &Record) -> Result<(), RolloutError> {
        let excesses = self.excesses(compiled, &record.settings)?;
        match excesses.is_empty() {
            true => Ok(()),
            false => Err(RolloutError::NotAllowed(excesses)),
        }
    }

    /// Refuses an uploaded file whose signature or version the operator does not
    /// accept. The settings, the keys and the policy may have changed since the
    /// upload. A new file must not have a wrong signature, even if none is
    /// required.
    pub(super) fn require_trusted(
        &self,
        artifact: &Artifact,
        record: &Record,
        is_new: bool,
    ) -> Result<(), RolloutError> {
        if record.source != Source::Upload {
            return Ok(());
        }
        let policy = self.policies.of(&record.plugin);
        let is_required = self.uploads.require_signature || policy.require_signature;
        let signature = record.signature.as_deref();
        if is_required || (is_new && signature.is_some()) {
            let key = self.uploads.keys.verify(&artifact.bytes, signature);
            let key = key.map_err(|error| RolloutError::NotTrusted(error.to_string()))?;
            tracing::info!(component = record.plugin, %key, "a trusted key has signed the file");
        }
        if is_required && record.manifest.is_some() {
            return Err(RolloutError::NotTrusted(UNSIGNED_MANIFEST.to_owned()));
        }
        let version = &artifact.manifest.version;
        let lowest = policy.lowest_version.as_deref().and_then(|lowest| semver::Version::parse(lowest).ok());
        match lowest.filter(|lowest| version < lowest) {
            Some(lowest) => Err(RolloutError::NotTrusted(format!(
                "the version {version} is below {lowest}, the lowest version that the policy of {} allows",
                record.plugin
            ))),
            None => Ok(()),
        }
    }

    /// The revision of this id.
    ///
    /// # Errors
    /// [`RolloutError::Unknown`] when there is none.
    pub(super) async fn record(&self, plugin: &str, id: &str) -> Result<Record, RolloutError> {
        let unknown = || RolloutError::Unknown(format!("revision {id} of {plugin}"));
        self.archive.record(plugin, id).await?.ok_or_else(unknown)
    }

    /// The file of a revision, from the binary or from the archive.
    pub(super) async fn bytes(&self, record: &Record) -> Result<Vec<u8>, RolloutError> {
        match self.origin(&record.plugin) {
            Some(origin) if origin.record.digest == record.digest => Ok(origin.bytes.to_vec()),
            _ => Ok(self.archive.file(&record.digest).await?),
        }
    }

    /// The quotas of a plugin on disk. An upload of a built-in plugin has the
    /// quotas of that plugin.
    pub(super) fn quotas(&self, plugin: &str, policy: &Policy) -> QuotasConfig {
        let source = self.origin(plugin).map_or(Source::Upload, |origin| origin.record.source);
        quotas_of(source, self.loader.quotas, &policy.quotas)
    }

    /// Reads the file of a revision.
    pub(super) async fn read(&self, record: &Record) -> Result<Artifact, RolloutError> {
        Ok(self.loader.read(self.bytes(record).await?, record.manifest.as_deref()).await?)
    }

    /// Compiles the file of a revision, or takes the compiled code from the
    /// cache.
    pub(super) async fn compile(&self, record: &Record) -> Result<Compiled, RolloutError> {
        Ok(self.loader.compile(self.read(record).await?, record.source).await?)
    }

    /// Migrates the database, starts instances and asks the health path. A
    /// paused or quarantined revision is not asked, because it may trap.
    ///
    /// # Errors
    /// The file does not fit, a migration failed, or the probe failed. The
    /// revision does not serve then.
    pub(super) async fn prepare(
        &self,
        compiled: Compiled,
        record: &Record,
        standing: Standing,
    ) -> Result<Prepared, RolloutError> {
        let policy = self.policy(&record.plugin);
        let quotas = self.quotas(&record.plugin, &policy);
        let (revision, migrations) = self.loader.prepare(compiled, record, policy, quotas).await?;
        if standing != Standing::Serving {
            return Ok(Prepared { revision, migrations, warm_instances: 1, probe: None });
        }
        let warm_instances = revision.warm_up(WARM_INSTANCES).await.map_err(LoadError::from)?;
        let probe = probe(&revision).await?;
        Ok(Prepared { revision, migrations, warm_instances, probe })
    }

    /// Compiles and prepares a revision that is kept.
    ///
    /// # Errors
    /// See [`Self::prepare`].
    pub(super) async fn load(&self, record: &Record, standing: Standing) -> Result<Prepared, RolloutError> {
        self.prepare(self.compile(record).await?, record, standing).await
    }
}
