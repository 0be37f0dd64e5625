//! The connection that writes, for tasks. Only one of them uses it at a time.

use super::{
    connection::{Connection, Deadline},
    errors::Failure,
    work::{SHORT, here, in_thread, timed},
};
use crate::{Error, Rows, Value, limits::Limits, pace::Pace};
use futures::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use std::{path::Path, sync::Arc, time::Duration};

/// A change that runs in the thread of its caller ends after this time, with its
/// transaction. A guest that computes for as long needs a turn to go on.
const CHANGE_IN_THE_THREAD_OF_ITS_CALLER: Duration = Duration::from_millis(20);
/// The time in which a statement ends that nobody waits for.
const CUT_OFF: Duration = Duration::from_millis(400);

/// A statement with its parameters.
pub(super) struct Call {
    pub(super) sql: Arc<str>,
    pub(super) parameters: Vec<Value>,
    pub(super) pace: Arc<Pace>,
    pub(super) kind: Kind,
    /// The longest run.
    pub(super) limit: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A statement of the host that looks at few rows.
    OfHost,
    /// SQLite can end it without its transaction.
    Query,
    /// SQLite ends the whole group of its transaction with it.
    Change,
    /// A change that would end other transactions, or that is long by nature.
    ChangeInThread,
}

/// Why a statement has no result.
pub(super) enum Stopped {
    Failed(Failure),
    /// It was long, and SQLite has rolled back its transaction.
    CutOff(Call),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The connection that writes.
pub(super) struct Writing {
    connection: Arc<Mutex<Connection>>,
    deadline: Deadline,
    limits: Arc<Limits>,
}

impl Writing {
    pub(super) async fn open(path: &Path, limits: &Arc<Limits>) -> Result<Self, Failure> {
        let (path, of_file) = (path.to_owned(), limits.clone());
        let open = move || Connection::open_to_write(&path, &of_file);
        let connection = in_thread(open).await.map_err(Failure::transaction)??;
        let deadline = connection.deadline().clone();
        Ok(Self { connection: Arc::new(Mutex::new(connection)), deadline, limits: limits.clone() })
    }

    /// The longest wait for a lock of the file.
    fn wait(&self) -> Duration {
        Duration::from_millis(self.limits.wait_ms)
    }

    /// Runs statements of the host that look at few pages and do not wait for the disk.
    pub(super) async fn control(&self, sql: &'static [&'static str]) -> Result<(), Failure> {
        let (connection, wait) = (self.connection.clone(), self.wait());
        let work = move || {
            let connection = connection.lock();
            connection.deadline().set(None);
            connection.wait_for_locks(Duration::ZERO)?;
            let result = run_all(&connection, sql);
            connection.wait_for_locks(wait)?;
            result
        };
        match here(work).await {
            // Another program has locked the file, so the first of the statements failed.
            Err(Failure { error: Error::Conflict, .. }) => self.control_in_thread(sql).await,
            result => result,
        }
    }

    /// Runs statements of the host, such as those that make changes durable.
    pub(super) async fn control_in_thread(&self, sql: &'static [&'static str]) -> Result<(), Failure> {
        self.deadline.set(None);
        self.in_thread(move |connection| run_all(connection, sql)).await
    }

    /// Runs many statements of the host, each once.
    pub(super) async fn batch(&self, sql: &'static str) -> Result<(), Failure> {
        self.deadline.set(None);
        self.in_thread(move |connection| connection.batch(sql)).await
    }

    /// Sets the largest size of the file.
    pub(super) async fn set_max_pages(&self, pages: u64) -> Result<(), Failure> {
        self.deadline.set(None);
        self.in_thread(move |connection| connection.set_max_pages(pages)).await
    }

    /// Runs a statement and returns its rows.
    pub(super) fn rows(&self, call: Call) -> BoxFuture<'_, Result<Rows, Stopped>> {
        let limits = self.limits.clone();
        self.run(call, move |connection, call| connection.rows(&call.sql, &call.parameters, &limits)).boxed()
    }

    /// Runs a statement and returns the number of rows that it changed.
    pub(super) fn execute(&self, call: Call) -> BoxFuture<'_, Result<u64, Stopped>> {
        self.run(call, |connection, call| connection.execute(&call.sql, &call.parameters)).boxed()
    }

    /// Runs a statement where its pace says.
    async fn run<T: Send + 'static>(
        &self,
        mut call: Call,
        run: impl Fn(&Connection, &Call) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Stopped> {
        let mut run = run;
        if let Some(longest) = call.longest_in_the_thread_of_its_caller() {
            let connection = self.connection.clone();
            let work = move || {
                let connection = connection.lock();
                // Its time begins here, and not before the task may give way to others.
                connection.deadline().set(Some(longest));
                let result = timed(&call.pace, || run(&connection, &call));
                drop(connection);
                (result, call, run)
            };
            let result;
            (result, call, run) = here(work).await;
            match result {
                Err(Failure { error: Error::Timeout, .. }) if call.kind == Kind::Query => {}
                Err(Failure { error: Error::Timeout, .. }) if call.kind == Kind::Change => {
                    call.pace.has_ended_a_transaction();
                    return Err(Stopped::CutOff(call));
                }
                result => return Ok(result?),
            }
        }
        self.deadline.set(Some(call.limit));
        Ok(self.in_thread(move |connection| timed(&call.pace, || run(connection, &call))).await?)
    }

    async fn in_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (connection, caller) = (self.connection.clone(), Arc::new(()));
        let waits = Arc::downgrade(&caller);
        let work = move || {
            let connection = connection.lock();
            // Its transaction is over if the caller was dropped before the thread began.
            if waits.strong_count() == 0 {
                return Err(Failure::transaction(Error::Conflict));
            }
            work(&connection)
        };
        let result = in_thread(work).await.map_err(Failure::transaction)?;
        drop(caller);
        result
    }

    /// Gives the statement that runs a short time to end.
    pub(super) fn cut_off(&self) {
        self.deadline.cut_off_after(CUT_OFF);
    }

    /// Waits until no statement runs.
    pub(super) async fn wait_until_idle(&self) -> Result<(), Failure> {
        if self.connection.try_lock().is_some() {
            return Ok(());
        }
        self.in_thread(|_| Ok(())).await
    }

    pub(super) async fn clear_prepared_statements(&self) -> Result<(), Failure> {
        self.in_thread(|connection| {
            connection.clear_prepared_statements();
            Ok(())
        })
        .await
    }

    /// Closes the connection. The last one of a file moves the log into the file.
    pub(super) async fn close(self) -> Result<(), Error> {
        in_thread(move || drop(self)).await
    }
}

impl Call {
    /// None if it has to run in another thread.
    fn longest_in_the_thread_of_its_caller(&self) -> Option<Duration> {
        let longest = match self.kind {
            Kind::OfHost => self.limit,
            Kind::Query => SHORT,
            Kind::Change => CHANGE_IN_THE_THREAD_OF_ITS_CALLER,
            Kind::ChangeInThread => return None,
        };
        self.pace.is_short().then(|| longest.min(self.limit))
    }
}

fn run_all(connection: &Connection, sql: &[&str]) -> Result<(), Failure> {
    sql.iter().try_for_each(|sql| connection.execute(sql, &[]).map(drop))
}
