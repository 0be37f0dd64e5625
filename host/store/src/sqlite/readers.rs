//! The connections that only read. Each is opened when it is needed, and stays
//! open. A change of the schema replaces all of them.

use super::{connection::Connection, errors::Failure};
use crate::Error;
use parking_lot::Mutex;
use sqlx::sqlite::SqliteConnectOptions;
use std::{
    mem,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// A pool of connections that only read.
pub(super) struct Readers {
    options: SqliteConnectOptions,
    wait: Duration,
    permits: Semaphore,
    idle: Mutex<Vec<IdleConnection>>,
    /// Counts the changes of the schema.
    schema_version: AtomicU64,
}

struct IdleConnection {
    connection: Connection,
    schema_version: u64,
    is_interrupted: bool,
}

impl Readers {
    pub(super) fn new(options: SqliteConnectOptions, count: u32, wait: Duration) -> Self {
        Self {
            options: options.read_only(true).pragma("query_only", "on"),
            wait,
            permits: Semaphore::new(count as usize),
            idle: Mutex::default(),
            schema_version: AtomicU64::new(0),
        }
    }

    /// Waits for a connection.
    pub(super) async fn acquire(&self) -> Result<Reader<'_>, Error> {
        let permit = timeout(self.wait, self.permits.acquire())
            .await
            .map_err(|_| Error::Timeout)?
            .map_err(|_| Error::Unavailable("the database is closed".into()))?;
        let schema_version = self.schema_version.load(Ordering::Acquire);
        let connection = match self.take_idle(schema_version).await {
            Some(connection) => connection,
            None => Connection::open(&self.options).await.map_err(Failure::into_error)?,
        };
        Ok(Reader { readers: self, _permit: permit, connection: Some(connection), schema_version })
    }

    /// Replaces all connections, because a prepared statement has the columns
    /// of an earlier schema.
    pub(super) fn replace_all(&self) {
        self.schema_version.fetch_add(1, Ordering::AcqRel);
        self.idle.lock().clear();
    }

    pub(super) async fn close(&self) {
        self.permits.close();
        let idle = mem::take(&mut *self.idle.lock());
        for IdleConnection { connection, .. } in idle {
            connection.close().await;
        }
    }

    async fn take_idle(&self, schema_version: u64) -> Option<Connection> {
        loop {
            let mut idle = self.idle.lock().pop()?;
            let is_usable = idle.schema_version == schema_version
                && (!idle.is_interrupted || idle.connection.wait_until_idle().await.is_ok());
            if is_usable {
                return Some(idle.connection);
            }
        }
    }

    fn give_back(&self, idle: IdleConnection) {
        if !self.permits.is_closed() && idle.schema_version == self.schema_version.load(Ordering::Acquire) {
            self.idle.lock().push(idle);
        }
    }
}

/// A connection in use. Dropping it before [`release`](Self::release) interrupts
/// its statement, because the caller was dropped.
pub(super) struct Reader<'a> {
    readers: &'a Readers,
    _permit: SemaphorePermit<'a>,
    connection: Option<Connection>,
    schema_version: u64,
}

impl Reader<'_> {
    #[expect(clippy::expect_used, reason = "only release and drop take it")]
    pub(super) fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a reader has its connection")
    }

    pub(super) fn release(mut self) {
        self.give_back(false);
    }

    fn give_back(&mut self, is_interrupted: bool) {
        if let Some(connection) = self.connection.take() {
            if is_interrupted {
                connection.interrupt();
            }
            let schema_version = self.schema_version;
            self.readers.give_back(IdleConnection { connection, schema_version, is_interrupted });
        }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.give_back(true);
    }
}
