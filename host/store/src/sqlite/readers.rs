//! The connections that only read. They are opened as they are needed and
//! kept; a change of the schema replaces them.

use super::{super::Error, connection::Connection};
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

/// A few readers, handed to one query at a time.
pub(super) struct Readers {
    options: SqliteConnectOptions,
    wait: Duration,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
    epoch: AtomicU64,
}

struct Idle {
    connection: Connection,
    epoch: u64,
    interrupted: bool,
}

impl Readers {
    pub(super) fn new(options: SqliteConnectOptions, count: usize, wait: Duration) -> Self {
        Self {
            options: options.read_only(true).pragma("query_only", "on"),
            wait,
            permits: Semaphore::new(count),
            idle: Mutex::default(),
            epoch: AtomicU64::new(0),
        }
    }

    /// Waits for a reader.
    pub(super) async fn lease(&self) -> Result<Lease<'_>, Error> {
        let permit = timeout(self.wait, self.permits.acquire())
            .await
            .map_err(|_| Error::Timeout)?
            .map_err(|_| Error::Unavailable("the database is closed".into()))?;
        let epoch = self.epoch.load(Ordering::Acquire);
        while let Some(mut found) = self.take_idle() {
            let usable = found.epoch == epoch && (!found.interrupted || found.connection.idle().await.is_ok());
            if usable {
                return Ok(Lease { readers: self, _permit: permit, connection: Some(found.connection), epoch });
            }
        }
        let connection = Connection::open(&self.options).await.map_err(|failure| failure.error)?;
        Ok(Lease { readers: self, _permit: permit, connection: Some(connection), epoch })
    }

    /// Lets go of all connections, so that the next ones see a new schema.
    pub(super) fn renew(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.idle.lock().clear();
    }

    pub(super) async fn close(&self) {
        self.permits.close();
        let idle = mem::take(&mut *self.idle.lock());
        for found in idle {
            found.connection.close().await;
        }
    }

    fn take_idle(&self) -> Option<Idle> {
        self.idle.lock().pop()
    }

    fn give_back(&self, idle: Idle) {
        if !self.permits.is_closed() && idle.epoch == self.epoch.load(Ordering::Acquire) {
            self.idle.lock().push(idle);
        }
    }
}

/// A reader in use. One that is dropped before [`release`](Self::release) has
/// lost its caller: what it does is interrupted.
pub(super) struct Lease<'a> {
    readers: &'a Readers,
    _permit: SemaphorePermit<'a>,
    connection: Option<Connection>,
    epoch: u64,
}

impl Lease<'_> {
    #[expect(clippy::expect_used, reason = "only release and drop take it")]
    pub(super) fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a lease has its connection")
    }

    pub(super) fn release(mut self) {
        if let Some(connection) = self.connection.take() {
            self.readers.give_back(Idle { connection, epoch: self.epoch, interrupted: false });
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.interrupt();
            self.readers.give_back(Idle { connection, epoch: self.epoch, interrupted: true });
        }
    }
}
