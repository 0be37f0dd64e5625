//! The archive of plugins: the uploaded files, their revisions, and the
//! decisions which of them are active. It survives restarts.
//!
//! The files are in the data directory, under their digests. The rest is in the
//! host's database. A database that hosts share has the files too, and the
//! directory is a cache of them.

mod remembered;

pub use remembered::{Record, Settings, State, Trial, Unknown};

use host_base::Dialect;
use host_database::HostDatabase;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
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

/// A database that hosts share keeps the files, so that all hosts can run an
/// upload.
const FILES_SCHEMA: &[&str] = &["CREATE TABLE plugin_files (digest TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT"];

/// The files and the tables.
#[derive(Clone)]
pub struct Archive {
    database: HostDatabase,
    folder: Arc<PathBuf>,
}

/// An error of the archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The host's database.
    #[error("the host's database: {0}")]
    Database(#[from] sqlx::Error),
    /// The files.
    #[error("the plugin files: {0}")]
    File(#[from] io::Error),
    /// The data cannot be written as JSON.
    #[error("what is to be stored of a plugin is not valid: {0}")]
    Format(#[from] serde_json::Error),
    /// The stored data is not understood.
    #[error("what is stored of {0} is not understood, perhaps because a newer version of the host has written it: {1}")]
    Foreign(String, serde_json::Error),
}

impl Archive {
    /// Opens the folder, and creates it if it is missing.
    ///
    /// # Errors
    /// When the folder or the database cannot be used.
    pub async fn open(database: HostDatabase, folder: &Path) -> Result<Self, ArchiveError> {
        std::fs::create_dir_all(folder)?;
        database.ensure_schema("plugins", SCHEMA).await?;
        if database.dialect() == Dialect::Postgres {
            database.ensure_schema("plugin_files", FILES_SCHEMA).await?;
        }
        Ok(Self { database, folder: Arc::new(folder.to_owned()) })
    }

    /// The folder for uploads that are not accepted yet.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps a file under its digest. When it returns, the file is durable.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep_file(&self, digest: &str, bytes: Arc<[u8]>) -> Result<(), ArchiveError> {
        if self.shares_files() {
            sqlx::query("INSERT INTO plugin_files (digest, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(digest)
                .bind(&bytes[..])
                .execute(&self.database.write)
                .await?;
        }
        let path = self.path(digest);
        if path.exists() { Ok(()) } else { self.write(path, bytes).await }
    }

    /// The bytes of a kept file.
    ///
    /// # Errors
    /// The file cannot be read, or its digest is not the expected one.
    pub async fn file(&self, digest: &str) -> Result<Vec<u8>, ArchiveError> {
        match tokio::fs::read(self.path(digest)).await {
            Ok(bytes) if is(digest, &bytes) => Ok(bytes),
            Ok(_) if !self.shares_files() => Err(damaged(digest)),
            Err(error) if !self.shares_files() => Err(error.into()),
            _ => self.shared_file(digest).await,
        }
    }

    fn shares_files(&self) -> bool {
        self.database.dialect() == Dialect::Postgres
    }

    /// Fetches a file that this host does not have, or has with another
    /// content.
    async fn shared_file(&self, digest: &str) -> Result<Vec<u8>, ArchiveError> {
        let bytes: Option<Vec<u8>> = sqlx::query_scalar("SELECT bytes FROM plugin_files WHERE digest = $1")
            .bind(digest)
            .fetch_optional(&self.database.read)
            .await?;
        let bytes =
            bytes.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no file {digest}")))?;
        if !is(digest, &bytes) {
            return Err(damaged(digest));
        }
        self.write(self.path(digest), bytes.clone().into()).await?;
        Ok(bytes)
    }

    /// Writes a file so that it appears whole or not at all.
    async fn write(&self, path: PathBuf, bytes: Arc<[u8]>) -> Result<(), ArchiveError> {
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::NamedTempFile::new_in(&*folder)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            std::fs::File::open(&*folder)?.sync_all()
        });
        Ok(written.await.map_err(io::Error::other)??)
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
    /// The database cannot be read, or its data is not understood.
    pub async fn record(&self, plugin: &str, id: &str) -> Result<Option<Record>, ArchiveError> {
        let row: Option<String> =
            sqlx::query_scalar("SELECT record FROM plugin_revisions WHERE plugin = $1 AND id = $2")
                .bind(plugin)
                .bind(id)
                .fetch_optional(&self.database.write)
                .await?;
        row.map(|row| read(plugin, &row)).transpose()
    }

    /// The revisions of a plugin that this version of the host understands,
    /// the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn records(&self, plugin: &str) -> Result<Vec<Record>, ArchiveError> {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT record FROM plugin_revisions WHERE plugin = $1 ORDER BY sequence DESC")
                .bind(plugin)
                .fetch_all(&self.database.write)
                .await?;
        let known = |row: &String| {
            read(plugin, row).inspect_err(|error| tracing::debug!(%error, "the stored revision is not understood")).ok()
        };
        Ok(rows.iter().filter_map(known).collect())
    }

    /// The plugins with a decision.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn plugins(&self) -> Result<Vec<String>, ArchiveError> {
        Ok(sqlx::query_scalar("SELECT plugin FROM plugin_states").fetch_all(&self.database.write).await?)
    }

    /// The decisions, by plugin.
    ///
    /// # Errors
    /// The database cannot be read, or its data is not understood.
    pub async fn states(&self) -> Result<BTreeMap<String, State>, ArchiveError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT plugin, state FROM plugin_states").fetch_all(&self.database.write).await?;
        let state = |(plugin, state): (String, String)| {
            let state = read(&plugin, &state)?;
            Ok((plugin, state))
        };
        rows.into_iter().map(state).collect()
    }

    /// The decision about one plugin. None if there is none.
    ///
    /// # Errors
    /// The database cannot be read, or its data is not understood.
    pub async fn state(&self, plugin: &str) -> Result<Option<State>, ArchiveError> {
        let row: Option<String> = sqlx::query_scalar("SELECT state FROM plugin_states WHERE plugin = $1")
            .bind(plugin)
            .fetch_optional(&self.database.write)
            .await?;
        row.map(|row| read(plugin, &row)).transpose()
    }

    /// Stores the decision about a plugin. When it returns, the decision is
    /// durable.
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

    /// Deletes the decision about a plugin.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn forget_state(&self, plugin: &str) -> Result<(), ArchiveError> {
        let forget = sqlx::query("DELETE FROM plugin_states WHERE plugin = $1").bind(plugin);
        forget.execute(&self.database.write).await?;
        Ok(())
    }

    /// Deletes the decision about a plugin and all its revisions. Deletes the
    /// files that no other plugin needs, and returns their digests.
    ///
    /// # Errors
    /// When the database or a file cannot be changed.
    pub async fn forget(&self, plugin: &str) -> Result<Vec<String>, ArchiveError> {
        let digests: Vec<String> = sqlx::query_scalar("SELECT DISTINCT digest FROM plugin_revisions WHERE plugin = $1")
            .bind(plugin)
            .fetch_all(&self.database.write)
            .await?;
        let revisions = sqlx::query("DELETE FROM plugin_revisions WHERE plugin = $1").bind(plugin);
        revisions.execute(&self.database.write).await?;
        self.forget_state(plugin).await?;
        let mut gone = Vec::new();
        for digest in digests {
            if self.forget_file(&digest).await? {
                gone.push(digest);
            }
        }
        Ok(gone)
    }

    /// Deletes the revisions of a plugin, except those in use and the newest
    /// few. Deletes the files that no revision needs, and returns their
    /// digests.
    ///
    /// # Errors
    /// When the database or a file cannot be changed.
    pub async fn prune(&self, plugin: &str, in_use: &State, kept: usize) -> Result<Vec<String>, ArchiveError> {
        let mut gone = Vec::new();
        let spare = self.records(plugin).await?.into_iter().filter(|record| !in_use.uses(&record.id));
        for record in spare.skip(kept) {
            if self.remove(&record).await? {
                gone.push(record.digest);
            }
        }
        Ok(gone)
    }

    /// Deletes a revision. True if no other revision needs its file, so that the
    /// file is removed too.
    ///
    /// # Errors
    /// When the database or a file cannot be changed.
    pub async fn remove(&self, record: &Record) -> Result<bool, ArchiveError> {
        sqlx::query("DELETE FROM plugin_revisions WHERE plugin = $1 AND id = $2")
            .bind(&record.plugin)
            .bind(&record.id)
            .execute(&self.database.write)
            .await?;
        self.forget_file(&record.digest).await
    }

    /// Removes a file unless a revision needs it. True if the file is removed.
    async fn forget_file(&self, digest: &str) -> Result<bool, ArchiveError> {
        let users: i64 = sqlx::query_scalar("SELECT count(*) FROM plugin_revisions WHERE digest = $1")
            .bind(digest)
            .fetch_one(&self.database.write)
            .await?;
        if users > 0 {
            return Ok(false);
        }
        if self.shares_files() {
            sqlx::query(
                "DELETE FROM plugin_files WHERE digest = $1
                 AND NOT EXISTS (SELECT 1 FROM plugin_revisions WHERE plugin_revisions.digest = $1)",
            )
            .bind(digest)
            .execute(&self.database.write)
            .await?;
        }
        match tokio::fs::remove_file(self.path(digest)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(true),
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }
}

fn is(digest: &str, bytes: &[u8]) -> bool {
    hex::encode(Sha256::digest(bytes)) == digest
}

fn damaged(digest: &str) -> ArchiveError {
    io::Error::other(format!("the file {digest} is damaged")).into()
}

fn read<T: DeserializeOwned>(plugin: &str, text: &str) -> Result<T, ArchiveError> {
    serde_json::from_str(text).map_err(|error| ArchiveError::Foreign(plugin.to_owned(), error))
}

#[cfg(test)]
mod tests;
