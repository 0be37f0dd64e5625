//! Staging: an upload is checked from its first byte to its compiled code,
//! compared with the active revision, and kept. A refused upload leaves nothing
//! behind.

use super::{Rollout, RolloutError};
use crate::{
    archive::{Record, Unknown},
    loader::{Compiled, LoadError},
};
use host_api::{revisions::Source, verdict::Verdict};
use host_artifact::{
    Artifact,
    compatibility::{self, ComparedRevision, HostContext, Interfaces, RevisionInfo},
    manifest::Manifest,
};
use host_base::clock::now_ms;
use host_engine::OFFERS;
use std::sync::Arc;

/// An upload.
pub struct Upload {
    /// The component.
    pub bytes: Vec<u8>,
    /// A manifest that replaces the one in the file.
    pub manifest: Option<String>,
    /// The name that it must have, if the operator gave one.
    pub name: Option<String>,
    /// The name of the caller.
    pub by: String,
    /// The text of the signature, if the file has one.
    pub signature: Option<String>,
    /// Whether the caller wants only the verdict.
    pub dry_run: bool,
}

/// The claims of an upload beside its file.
struct Claim {
    manifest: Option<String>,
    name: Option<String>,
    by: String,
    signature: Option<String>,
}

impl Rollout {
    /// Checks an upload and keeps it. Returns whether it is new: the same bytes
    /// with the same settings are the same revision.
    ///
    /// # Errors
    /// The first problem. Nothing was kept then.
    pub async fn stage(&self, upload: Upload, may: impl FnOnce(&str) -> bool) -> Result<(Verdict, bool), RolloutError> {
        let Upload { bytes, manifest, name, by, signature, dry_run } = upload;
        if self.peers.cluster().is_some() {
            self.preparer.policies.refresh().await?;
        }
        let kept: Arc<[u8]> = Arc::from(bytes.as_slice());
        let artifact = self.preparer.loader.read(bytes, manifest.as_deref()).await?;
        let record = self.admit(&artifact, Claim { manifest, name, by, signature }, may).await?;
        let compiled = self.preparer.loader.compile(artifact, Source::Upload).await?;
        let verdict = match self.examine(&compiled, &record).await {
            Ok(verdict) => verdict,
            Err(error) => {
                self.forget_unless_kept(&compiled);
                return Err(error);
            }
        };
        if !dry_run && !verdict.beyond_policy.is_empty() {
            self.forget_unless_kept(&compiled);
            return Err(RolloutError::NotAllowed(verdict.beyond_policy));
        }
        if dry_run {
            self.forget_unless_kept(&compiled);
            return Ok((verdict, false));
        }
        self.archive.keep_file(&record.digest, kept).await?;
        let new = self.archive.add(&record).await?;
        tracing::info!(component = record.plugin, revision = record.id, new, compatible = verdict.compatible, "staged");
        if new {
            self.make_room(&record.plugin).await;
        }
        Ok((verdict, new))
    }

    /// Deletes the oldest uploads of a plugin above its quota.
    async fn make_room(&self, plugin: &str) {
        let quotas = self.preparer.quotas(plugin, &self.preparer.policy(plugin));
        let state = self.state(plugin).await.unwrap_or_default();
        self.prune(plugin, &state, usize::try_from(quotas.staged_revisions).unwrap_or(usize::MAX)).await;
    }

    /// Checks what can be checked before anything is compiled: who may upload
    /// under this name, the signature, the paths, and the sizes.
    async fn admit(
        &self,
        artifact: &Artifact,
        claim: Claim,
        may: impl FnOnce(&str) -> bool,
    ) -> Result<Record, RolloutError> {
        let Claim { manifest, name, by, signature } = claim;
        let declared = &artifact.manifest;
        if let Some(name) = name.filter(|name| *name != declared.name) {
            let problem = format!("is {name}, but the manifest says {}", declared.name);
            return Err(RolloutError::Value { field: "name", problem });
        }
        if !may(&declared.name) {
            return Err(RolloutError::Forbidden(declared.name.clone()));
        }
        let settings = self.archive.state(&declared.name).await?.unwrap_or_default().settings;
        let version = declared.version.to_string();
        let record = Record {
            id: Record::id(&version, &artifact.digest, manifest.as_deref(), &settings),
            plugin: declared.name.clone(),
            digest: artifact.digest.clone(),
            size_bytes: artifact.bytes.len(),
            version,
            source: Source::Upload,
            manifest,
            settings,
            uploaded_ms: now_ms(),
            uploaded_by: by,
            signature,
            unknown: Unknown::new(),
        };
        declared.check_upload().map_err(LoadError::from)?;
        self.preparer.require_trusted(artifact, &record, true)?;
        self.registry.snapshot().has_room_for(declared)?;
        let policy = self.preparer.policy(&declared.name);
        self.preparer.loader.check_footprint(artifact, &policy, &record.settings)?;
        Ok(record)
    }

    async fn examine(&self, compiled: &Compiled, record: &Record) -> Result<Verdict, RolloutError> {
        self.preparer.loader.check(compiled, &self.preparer.policy(&record.plugin), &record.settings)?;
        self.verdict(compiled, record).await
    }

    /// Compares a file with the active revision.
    pub(super) async fn verdict(&self, compiled: &Compiled, record: &Record) -> Result<Verdict, RolloutError> {
        let snapshot = self.registry.snapshot();
        let interfaces = |artifact: &Artifact| Interfaces::read(&artifact.bytes).map_err(LoadError::from);
        let active_revision = self.active(&record.plugin).map(|active| active.revision.id.clone());
        let active = self.active_artifact(&record.plugin).await?;
        let active_interfaces = active.as_ref().map(interfaces).transpose()?;
        let new_interfaces = interfaces(&compiled.artifact)?;
        let others: Vec<&Manifest> = snapshot.plugins().map(|plugin| &plugin.revision.manifest).collect();
        let applied = self.preparer.loader.applied_migrations(&record.plugin).await?;
        let host = HostContext {
            offers: OFFERS,
            active: active
                .as_ref()
                .zip(active_interfaces.as_ref())
                .map(|(active, interfaces)| compared(active, interfaces)),
            others: &others,
            applied: &applied,
            active_revision: active_revision.as_deref(),
        };
        let info = RevisionInfo {
            revision: record.id.clone(),
            digest: record.digest.clone(),
            size_bytes: compiled.artifact.bytes.len(),
            compile_ms: u64::try_from(compiled.took.as_millis()).unwrap_or(u64::MAX),
            from_cache: compiled.from_cache,
        };
        let beyond_policy = self.preparer.excesses(compiled, &record.settings)?;
        let new = compared(&compiled.artifact, &new_interfaces);
        let verdict = compatibility::compare(new, &compiled.artifact.migrations, host, info);
        Ok(Verdict { compatible: verdict.compatible && beyond_policy.is_empty(), beyond_policy, ..verdict })
    }

    /// The file of the active revision, for comparison.
    async fn active_artifact(&self, plugin: &str) -> Result<Option<Artifact>, RolloutError> {
        let Some(active) = self.active(plugin) else { return Ok(None) };
        let Some(record) = self.archive.record(plugin, &active.revision.id).await? else { return Ok(None) };
        let bytes = self.preparer.bytes(&record).await?;
        Ok(Some(Artifact::parse(bytes, record.manifest.as_deref()).map_err(LoadError::from)?))
    }

    /// Removes the compiled code of a refused file, unless the same file is in
    /// use.
    fn forget_unless_kept(&self, compiled: &Compiled) {
        if !compiled.from_cache {
            self.preparer.loader.forget(&compiled.artifact.digest);
        }
    }
}

fn compared<'a>(artifact: &'a Artifact, interfaces: &'a Interfaces) -> ComparedRevision<'a> {
    ComparedRevision { manifest: &artifact.manifest, interfaces, events: &artifact.events }
}
