//! The connections that only read. Each is opened when it is needed, and stays
//! open. A change of the schema replaces all of them.
//!
//! A query that is probably short begins in the thread of its caller. If it is long, it is
//! ended there and begins again in a thread that may block.

use super::{
    connection::{Connection, Deadline},
    errors::Failure,
    work::{SHORT, here, in_thread, timed},
};
use crate::{Error, database::shutting_down, pace::Pace};
use parking_lot::Mutex;
use std::{
    mem,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

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
    connection: Connection,
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
        pace: &Arc<Pace>,
        limit: Duration,
        query: impl Fn(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let mut lease = self.0.lease(pace).await?;
        let mut query = query;
        if pace.is_short() {
            let short = move || {
                let result = lease.allow(SHORT, Duration::ZERO).map_err(Failure::transaction);
                (result.and_then(|_| lease.run(&query)), lease, query)
            };
            let result;
            (result, lease, query) = here(short).await;
            match result {
                Err(Failure { error: Error::Timeout | Error::Conflict, .. }) => {}
                result => return result.map_err(Failure::into_error),
            }
        }
        let is_over = Arc::new(Mutex::new(false));
        let _ended = EndedWhenDropped { deadline: lease.allow(limit, self.0.wait)?, is_over: is_over.clone() };
        let run = move || {
            let result = lease.run(&query);
            // From now on the deadline is that of the next query.
            *is_over.lock() = true;
            drop(lease);
            result
        };
        in_thread(run).await?.map_err(Failure::into_error)
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
    async fn lease(self: &Arc<Self>, pace: &Arc<Pace>) -> Result<Lease, Error> {
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
                in_thread(move || Connection::open_to_read(&pool.path)).await?.map_err(Failure::into_error)?
            }
        };
        let (pool, pace) = (self.clone(), pace.clone());
        Ok(Lease { pool, pace, connection: Some(connection), schema_version, _permit: permit })
    }

    fn take_idle(&self, schema_version: u64) -> Option<Connection> {
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
    /// That of the query.
    pace: Arc<Pace>,
    connection: Option<Connection>,
    schema_version: u64,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    fn connection(&self) -> Result<&Connection, Failure> {
        self.connection.as_ref().ok_or_else(|| Failure::transaction(shutting_down()))
    }

    /// Allows the query this time, and so long a wait for a lock of the file.
    fn allow(&self, time: Duration, wait: Duration) -> Result<Deadline, Error> {
        let connection = self.connection().map_err(Failure::into_error)?;
        connection.wait_for_locks(wait).map_err(Failure::into_error)?;
        connection.deadline().set(Some(time));
        Ok(connection.deadline().clone())
    }

    fn run<T>(&self, query: impl Fn(&Connection) -> Result<T, Failure>) -> Result<T, Failure> {
        timed(&self.pace, || self.connection().and_then(query))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if std::thread::panicking() {
            return;
        }
        let schema_version = self.schema_version;
        if !self.pool.permits.is_closed() && schema_version == self.pool.schema_version.load(Ordering::Acquire) {
            self.pool.idle.lock().push(IdleConnection { connection, schema_version });
        }
    }
}

/// Ends the query of a caller that is dropped.
struct EndedWhenDropped {
    deadline: Deadline,
    is_over: Arc<Mutex<bool>>,
}

impl Drop for EndedWhenDropped {
    fn drop(&mut self) {
        let is_over = self.is_over.lock();
        if !*is_over {
            self.deadline.cut_off_after(Duration::ZERO);
        }
    }
}
