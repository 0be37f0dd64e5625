//! The databases of all components: each opened once, on first use, and kept
//! until the host ends, whatever revisions come and go.

use super::{
    Database, Error,
    sqlite::{Limits, SqliteDatabase},
};
use crate::config::store::Store;
use async_trait::async_trait;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use tokio::sync::Mutex;

/// Where components' databases come from.
#[async_trait]
pub trait Databases: Send + Sync + 'static {
    /// The database of this component, made if there is none.
    async fn open(&self, component: &str) -> Result<Arc<dyn Database>, Error>;

    /// Closes all that were opened.
    async fn close(&self);
}

/// A SQLite file per component in one folder.
pub struct SqliteDatabases {
    folder: PathBuf,
    limits: Limits,
    opened: Mutex<BTreeMap<String, Arc<dyn Database>>>,
}

impl SqliteDatabases {
    /// Nothing is opened yet.
    pub fn new(folder: PathBuf, settings: &Store) -> Self {
        let limits = Limits {
            readers: settings.readers as usize,
            wait_ms: u64::try_from(settings.queue_wait.as_millis()).unwrap_or(u64::MAX),
            ..Limits::default()
        };
        Self { folder, limits, opened: Mutex::default() }
    }
}

#[async_trait]
impl Databases for SqliteDatabases {
    async fn open(&self, component: &str) -> Result<Arc<dyn Database>, Error> {
        let mut opened = self.opened.lock().await;
        if let Some(database) = opened.get(component) {
            return Ok(database.clone());
        }
        let path = self.folder.join(format!("{component}.db"));
        let database: Arc<dyn Database> = SqliteDatabase::open(&path, self.limits.clone()).await?;
        opened.insert(component.to_owned(), database.clone());
        Ok(database)
    }

    async fn close(&self) {
        for database in std::mem::take(&mut *self.opened.lock().await).into_values() {
            database.close().await;
        }
    }
}
