//! The folder with the components' files.

use super::SqliteDatabase;
use crate::{
    Database, Databases, Error,
    database::{check_component_name, shutting_down},
    limits::Limits,
};
use async_trait::async_trait;
use host_base::Disk;
use host_config::store::StoreConfig;
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Mutex;

/// Opens each component's file once, and keeps it open until the host stops.
pub struct SqliteDatabases {
    folder: PathBuf,
    limits: Limits,
    /// None after [`Databases::close`].
    open: Mutex<Option<HashMap<String, Arc<SqliteDatabase>>>>,
}

impl SqliteDatabases {
    /// Keeps the files in this folder. Creates the folder if it does not exist.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn new(folder: &Path, settings: &StoreConfig) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), limits: settings.into(), open: Mutex::new(Some(HashMap::new())) })
    }

    /// Keeps a reserve of this disk for the host.
    #[must_use]
    pub fn on_disk(mut self, disk: Disk) -> Self {
        self.limits.disk = Some(disk);
        self
    }

    fn path(&self, component: &str) -> Result<PathBuf, Error> {
        check_component_name(component)?;
        Ok(self.folder.join(format!("{component}.db")))
    }
}

#[async_trait]
impl Databases for SqliteDatabases {
    async fn open(&self, component: &str) -> Result<Arc<dyn Database>, Error> {
        let path = self.path(component)?;
        let mut open = self.open.lock().await;
        let open = open.as_mut().ok_or_else(shutting_down)?;
        if let Some(database) = open.get(component) {
            return Ok(database.clone());
        }
        let database = SqliteDatabase::open(&path, self.limits.clone()).await?;
        open.insert(component.to_owned(), database.clone());
        Ok(database)
    }

    async fn exists(&self, component: &str) -> Result<bool, Error> {
        let path = self.path(component)?;
        let found = tokio::fs::try_exists(&path).await;
        found.map_err(|error| Error::Unavailable(format!("{}: {error}", path.display())))
    }

    async fn close(&self) {
        for database in self.open.lock().await.take().unwrap_or_default().into_values() {
            database.close().await;
        }
    }
}
