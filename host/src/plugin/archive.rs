//! What is kept of plugins across starts: the files that were uploaded, the
//! revisions made of them, and which of those are to be active.
//!
//! The files lie in the data directory, named by their digest; the rest is in
//! the host's database.

use crate::{
    config::plugins::{Grant, LimitOverrides},
    database::HostDatabase,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

const SCHEMA: &[&str] = &["
    CREATE TABLE plugin_revisions (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, plugin TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL,
        record TEXT NOT NULL, UNIQUE (plugin, id)) STRICT;
    CREATE INDEX plugin_revisions_digest ON plugin_revisions (digest);
    CREATE TABLE plugin_states (plugin TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
"];

/// The files and the tables.
pub struct Archive {
    database: HostDatabase,
    folder: Arc<PathBuf>,
}

/// One revision: a file with what the operator has set for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The plugin's name.
    pub plugin: String,
    /// What identifies it within the plugin.
    pub id: String,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// The file's size.
    pub size_bytes: usize,
    /// The version that its manifest says.
    pub version: String,
    /// Where it came from.
    pub source: Source,
    /// A manifest in place of the one inside the file.
    pub manifest: Option<String>,
    /// What the operator has set.
    pub settings: Settings,
    /// When it was made, in milliseconds since the Unix epoch.
    pub uploaded_ms: u64,
    /// Who made it.
    pub uploaded_by: String,
}

/// Where a revision came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// It is in the host's binary.
    Bundled,
    /// A file that the settings name.
    File,
    /// An operator uploaded it.
    Upload,
}

/// What an operator has set for a plugin while the host runs. It beats flags,
/// environment and file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Values of declared settings.
    pub config: BTreeMap<String, String>,
    /// Limits in place of the manifest's.
    pub limits: LimitOverrides,
    /// What it may import; none to leave that to the host's own settings.
    pub grants: Option<BTreeSet<Grant>>,
    /// Hosts with ports to which it may make requests.
    pub http_hosts: BTreeSet<String>,
}

/// Which revisions of a plugin are to be active.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The one that serves; none if it was removed, or never activated.
    pub active: Option<String>,
    /// The one that served before.
    pub previous: Option<String>,
    /// The one on trial, and its share of the work in percent.
    pub canary: Option<(String, u8)>,
    /// Whether an operator has paused it.
    pub paused: bool,
    /// Why it was quarantined.
    pub quarantined: Option<String>,
    /// Whether an operator has removed it, though the binary brings it.
    pub removed: bool,
    /// For revisions to come.
    pub settings: Settings,
}

/// Why something could not be kept or found again.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The host's database.
    #[error("the host's database: {0}")]
    Database(#[from] sqlx::Error),
    /// The files.
    #[error("the plugin files: {0}")]
    File(#[from] io::Error),
    /// What is stored is not understood.
    #[error("what is stored of a plugin is not valid: {0}")]
    Format(#[from] serde_json::Error),
}

impl Record {
    /// The id of a file with these settings: the version, the start of the
    /// digest, and where something is set, the start of the settings' digest.
    pub fn id(version: &str, digest: &str, manifest: Option<&str>, settings: &Settings) -> String {
        let mut id = format!("{version}+{}", digest.get(..8).unwrap_or(digest));
        if manifest.is_some() || *settings != Settings::default() {
            let text = serde_json::to_vec(&(manifest, settings)).unwrap_or_default();
            id.push('.');
            id.push_str(hex::encode(Sha256::digest(text)).get(..8).unwrap_or_default());
        }
        id
    }
}

impl Archive {
    /// Uses the folder, which is made if it is missing.
    ///
    /// # Errors
    /// When the folder or the database cannot be used.
    pub async fn open(database: HostDatabase, folder: &Path) -> Result<Self, ArchiveError> {
        std::fs::create_dir_all(folder)?;
        database.ensure("plugins", SCHEMA).await?;
        Ok(Self { database, folder: Arc::new(folder.to_owned()) })
    }

    /// Where uploads are written before they are accepted.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps a file under its digest. When it returns, the file is durable.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep_file(&self, digest: &str, bytes: Arc<[u8]>) -> Result<(), ArchiveError> {
        let path = self.path(digest);
        let folder = self.folder.clone();
        if path.exists() {
            return Ok(());
        }
        let written = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::NamedTempFile::new_in(&*folder)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            std::fs::File::open(&*folder)?.sync_all()
        });
        Ok(written.await.map_err(io::Error::other)??)
    }

    /// The bytes of a kept file.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was kept.
    pub async fn file(&self, digest: &str) -> Result<Vec<u8>, ArchiveError> {
        let bytes = tokio::fs::read(self.path(digest)).await?;
        if hex::encode(Sha256::digest(&bytes)) != digest {
            return Err(io::Error::other(format!("the file {digest} is damaged")).into());
        }
        Ok(bytes)
    }

    /// Adds a revision. False if it is there already.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add(&self, record: &Record) -> Result<bool, ArchiveError> {
        let added = sqlx::query(
            "INSERT INTO plugin_revisions (plugin, id, digest, record) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(&record.plugin)
        .bind(&record.id)
        .bind(&record.digest)
        .bind(serde_json::to_string(record)?)
        .execute(&self.database.write)
        .await?;
        Ok(added.rows_affected() > 0)
    }

    /// One revision.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn record(&self, plugin: &str, id: &str) -> Result<Option<Record>, ArchiveError> {
        Ok(self.records(plugin).await?.into_iter().find(|record| record.id == id))
    }

    /// All revisions of a plugin, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn records(&self, plugin: &str) -> Result<Vec<Record>, ArchiveError> {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT record FROM plugin_revisions WHERE plugin = $1 ORDER BY sequence DESC")
                .bind(plugin)
                .fetch_all(&self.database.write)
                .await?;
        rows.iter().map(|row| read(row)).collect()
    }

    /// What is to be active, by plugin.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn states(&self) -> Result<BTreeMap<String, State>, ArchiveError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT plugin, state FROM plugin_states").fetch_all(&self.database.write).await?;
        rows.into_iter().map(|(plugin, state)| Ok((plugin, read(&state)?))).collect()
    }

    /// What is to be active of one plugin; nothing if nobody has said.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn state(&self, plugin: &str) -> Result<Option<State>, ArchiveError> {
        let row: Option<String> = sqlx::query_scalar("SELECT state FROM plugin_states WHERE plugin = $1")
            .bind(plugin)
            .fetch_optional(&self.database.write)
            .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// Decides what is to be active. When it returns, that is durable.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_state(&self, plugin: &str, state: &State) -> Result<(), ArchiveError> {
        sqlx::query(
            "INSERT INTO plugin_states (plugin, state) VALUES ($1, $2) ON CONFLICT (plugin) DO UPDATE SET state = excluded.state",
        )
        .bind(plugin)
        .bind(serde_json::to_string(state)?)
        .execute(&self.database.write)
        .await?;
        Ok(())
    }

    /// Forgets revisions of a plugin but for those in use and the newest few,
    /// and gives the digests of the files that nothing needs any more. Their
    /// files are gone.
    ///
    /// # Errors
    /// When the database or a file cannot be changed.
    pub async fn prune(&self, plugin: &str, in_use: &State, kept: usize) -> Result<Vec<String>, ArchiveError> {
        let used = [&in_use.active, &in_use.previous, &in_use.canary.as_ref().map(|(id, _)| id.clone())];
        let is_used = |record: &Record| used.iter().any(|id| id.as_ref() == Some(&record.id));
        let mut gone = Vec::new();
        let spare = self.records(plugin).await?.into_iter().filter(|record| !is_used(record));
        for record in spare.skip(kept) {
            sqlx::query("DELETE FROM plugin_revisions WHERE plugin = $1 AND id = $2")
                .bind(plugin)
                .bind(&record.id)
                .execute(&self.database.write)
                .await?;
            let users: i64 = sqlx::query_scalar("SELECT count(*) FROM plugin_revisions WHERE digest = $1")
                .bind(&record.digest)
                .fetch_one(&self.database.write)
                .await?;
            if users == 0 {
                match tokio::fs::remove_file(self.path(&record.digest)).await {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                    _ => gone.push(record.digest),
                }
            }
        }
        Ok(gone)
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, ArchiveError> {
    Ok(serde_json::from_str(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, digest: &str) -> Record {
        Record {
            plugin: "p".into(),
            id: id.into(),
            digest: digest.into(),
            size_bytes: 1,
            version: "1.0.0".into(),
            source: Source::Upload,
            manifest: None,
            settings: Settings::default(),
            uploaded_ms: 1,
            uploaded_by: "somebody".into(),
        }
    }

    #[tokio::test]
    async fn what_is_in_use_outlives_what_is_old_and_files_go_with_their_last_revision() {
        let folder = tempfile::tempdir().unwrap();
        let database = HostDatabase::open(&folder.path().join("host.db")).await.unwrap();
        let archive = Archive::open(database, &folder.path().join("plugins")).await.unwrap();
        let digests: Vec<String> = (0..4_u8).map(|i| hex::encode(Sha256::digest([i]))).collect();
        for (i, digest) in digests.iter().enumerate() {
            archive.keep_file(digest, Arc::from([i as u8])).await.unwrap();
            assert!(archive.add(&record(&format!("r{i}"), digest)).await.unwrap());
            assert!(!archive.add(&record(&format!("r{i}"), digest)).await.unwrap(), "the same is there once");
        }
        archive.add(&record("r1-set", &digests[1])).await.unwrap();
        let state = State { active: Some("r0".into()), ..State::default() };
        archive.set_state("p", &state).await.unwrap();
        assert_eq!(archive.state("p").await.unwrap(), Some(state.clone()));

        let gone = archive.prune("p", &state, 2).await.unwrap();
        let left: Vec<_> = archive.records("p").await.unwrap().into_iter().map(|record| record.id).collect();
        assert_eq!(left, ["r1-set", "r3", "r0"]);
        assert_eq!(gone, [digests[2].clone()], "the file of r1 is used by r1-set");
        assert!(archive.file(&digests[2]).await.is_err());
        assert_eq!(archive.file(&digests[1]).await.unwrap(), [1]);
        std::fs::write(archive.path(&digests[1]), b"other").unwrap();
        assert!(archive.file(&digests[1]).await.is_err(), "a damaged file is not run");
    }

    #[test]
    fn settings_are_part_of_the_id() {
        let none = Settings::default();
        let some = Settings { config: [("k".to_owned(), "v".to_owned())].into(), ..Settings::default() };
        assert_eq!(Record::id("1.0.0", "0123456789", None, &none), "1.0.0+01234567");
        assert!(Record::id("1.0.0", "0123456789", None, &some).starts_with("1.0.0+01234567."));
        assert_ne!(Record::id("1.0.0", "01234567", Some("m"), &none), Record::id("1.0.0", "01234567", None, &none));
    }
}
