//! The connections that only read. Each is opened when it is needed, and stays
//! open. A change of the schema replaces all of them.
//!
//! A query begins in the thread of its caller, because most queries need less time than
//! a change of threads. One that needs longer is ended and begins again in a thread that may block.

use super::{
    errors::Failure,
    read_connection::{Deadline, ReadConnection},
};
use crate::{Error, database::shutting_down, pace::Pace};
use host_base::thread_stack::on_thread_stack;
use parking_lot::Mutex;
use std::{
    mem,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{coop::consume_budget, spawn_blocking},
    time::timeout,
};

/// The longest time in the thread of the caller. A guest computes for longer before
/// it gives way.
const SHORT: Duration = Duration::from_millis(1);

/// A pool of connections that only read.
pub(super) struct Readers(Arc<Pool>);

struct Pool {
    path: PathBuf,
    wait: Duration,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<IdleConnection>>,
    /// Counts the changes of the schema.
    schema_version: AtomicU64,
}

struct IdleConnection {
    connection: ReadConnection,
    schema_version: u64,
}

impl Readers {
    pub(super) fn new(path: &Path, count: u32, wait: Duration) -> Self {
        Self(Arc::new(Pool {
            path: path.to_owned(),
            wait,
            permits: Arc::new(Semaphore::new(count as usize)),
            idle: Mutex::default(),
            schema_version: AtomicU64::new(0),
        }))
    }

    /// Runs a query that ends after this time. A caller that is dropped ends it too.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        pace: &Pace,
        limit: Duration,
        query: impl Fn(&ReadConnection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let lease = self.0.lease().await?;
        let (lease, query) = if pace.is_short() {
            // A guest with many queries gives way to others now and then.
            consume_budget().await;
            let begun = Instant::now();
            let short = move || {
                let result = lease.connection().and_then(|connection| {
                    connection.allow(SHORT, Duration::ZERO)?;
                    query(connection)
                });
                (result, lease, query)
            };
            let (result, lease, query) = on_thread_stack(short).await;
            if begun.elapsed() >= SHORT {
                pace.was_long();
            }
            match result {
                Err(Failure { error: Error::Timeout | Error::Conflict, .. }) => (lease, query),
                result => return result.map_err(Failure::into_error),
            }
        } else {
            (lease, query)
        };
        let allowed = lease.connection().and_then(|connection| {
            connection.allow(limit, self.0.wait)?;
            Ok(EndedWhenDropped(connection.deadline()))
        });
        let _ended = allowed.map_err(Failure::into_error)?;
        let result = spawn_blocking(move || query(lease.connection()?)).await;
        result.map_err(|_| shutting_down())?.map_err(Failure::into_error)
    }

    /// Replaces all connections, because a prepared statement has the columns
    /// of an earlier schema.
    pub(super) fn replace_all(&self) {
        self.0.schema_version.fetch_add(1, Ordering::AcqRel);
        self.0.idle.lock().clear();
    }

    /// Closes the connections that are not in use, and each other one after its query.
    pub(super) fn close(&self) {
        self.0.permits.close();
        drop(mem::take(&mut *self.0.idle.lock()));
    }
}

impl Pool {
    /// Waits for a connection.
    async fn lease(self: &Arc<Self>) -> Result<Lease, Error> {
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => timeout(self.wait, self.permits.clone().acquire_owned())
                .await
                .map_err(|_| Error::Timeout)?
                .map_err(|_| Error::Unavailable("the database is closed".into()))?,
        };
        let schema_version = self.schema_version.load(Ordering::Acquire);
        let connection = match self.take_idle(schema_version) {
            Some(connection) => connection,
            None => {
                let pool = self.clone();
                let opened = spawn_blocking(move || ReadConnection::open(&pool.path)).await;
                opened.map_err(|_| shutting_down())?.map_err(Failure::into_error)?
            }
        };
        Ok(Lease { pool: self.clone(), connection: Some(connection), schema_version, _permit: permit })
    }

    fn take_idle(&self, schema_version: u64) -> Option<ReadConnection> {
        let mut idle = self.idle.lock();
        while let Some(last) = idle.pop() {
            if last.schema_version == schema_version {
                return Some(last.connection);
            }
        }
        None
    }
}

/// A connection in use. Dropping it gives it back.
struct Lease {
    pool: Arc<Pool>,
    connection: Option<ReadConnection>,
    schema_version: u64,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    fn connection(&self) -> Result<&ReadConnection, Failure> {
        self.connection.as_ref().ok_or_else(|| Failure::transaction(shutting_down()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let schema_version = self.schema_version;
        if !self.pool.permits.is_closed() && schema_version == self.pool.schema_version.load(Ordering::Acquire) {
            self.pool.idle.lock().push(IdleConnection { connection, schema_version });
        }
    }
}

/// Ends the query of a caller that is dropped.
struct EndedWhenDropped(Deadline);

impl Drop for EndedWhenDropped {
    fn drop(&mut self) {
        self.0.end_now();
    }
}
