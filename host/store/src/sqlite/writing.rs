//! The connection that writes, for tasks. Only one of them uses it at a time.

use super::{
    connection::{Connection, Deadline},
    errors::Failure,
    work::{SHORT, here, in_thread, timed},
};
use crate::{Error, Rows, Value, limits::Limits, pace::Pace};
use parking_lot::Mutex;
use std::{path::Path, sync::Arc, time::Duration};

/// A change that runs in the thread of its caller ends after this time, with its
/// transaction. A guest that computes gives way after as long.
const CHANGE_IN_THE_THREAD_OF_ITS_CALLER: Duration = Duration::from_millis(20);
/// The time in which a statement ends that nobody waits for.
const CUT_OFF: Duration = Duration::from_millis(400);

/// A statement with its parameters.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) sql: Arc<str>,
    pub(super) parameters: Vec<Value>,
    pub(super) pace: Arc<Pace>,
    /// It changes nothing, so SQLite can end it without its transaction.
    pub(super) reads_only: bool,
    /// It is from a component, so nobody knows how long it is.
    pub(super) is_foreign: bool,
    /// The longest run.
    pub(super) limit: Duration,
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
        let wait = Duration::from_millis(limits.wait_ms);
        let open = move || {
            let connection = Connection::open_to_write(&path, &of_file)?;
            connection.wait_for_locks(wait)?;
            Ok::<_, Failure>(connection)
        };
        let connection = in_thread(open).await.map_err(Failure::transaction)??;
        let deadline = connection.deadline().clone();
        Ok(Self { connection: Arc::new(Mutex::new(connection)), deadline, limits: limits.clone() })
    }

    /// Runs statements of the host that look at few pages and do not wait for the disk.
    pub(super) async fn control(&self, sql: &'static [&'static str]) -> Result<(), Failure> {
        self.deadline.set(None);
        let connection = self.connection.clone();
        here(move || run_all(&connection.lock(), sql)).await
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
    pub(super) async fn rows(&self, call: Call) -> Result<Rows, Failure> {
        let limits = self.limits.clone();
        self.run(call, move |connection, call| connection.rows(&call.sql, &call.parameters, &limits)).await
    }

    /// Runs a statement and returns the number of rows that it changed.
    pub(super) async fn execute(&self, call: Call) -> Result<u64, Failure> {
        self.run(call, |connection, call| connection.execute(&call.sql, &call.parameters)).await
    }

    /// Runs a statement where its pace says.
    async fn run<T: Send + 'static>(
        &self,
        mut call: Call,
        run: impl Fn(&Connection, &Call) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let mut run = run;
        if call.pace.is_short() {
            self.deadline.set(Some(call.longest_in_the_thread_of_its_caller()));
            let connection = self.connection.clone();
            let work = move || (timed(&call.pace, || run(&connection.lock(), &call)), call, run);
            let result;
            (result, call, run) = here(work).await;
            match result {
                Err(Failure { error: Error::Timeout, .. }) if call.reads_only => {}
                // Its transaction runs again, and then the statement gets a thread.
                Err(Failure { error: Error::Timeout, .. }) if call.is_foreign => {
                    return Err(Failure::transaction(Error::Conflict));
                }
                result => return result,
            }
        }
        self.deadline.set(Some(call.limit));
        self.in_thread(move |connection| timed(&call.pace, || run(connection, &call))).await
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
    fn longest_in_the_thread_of_its_caller(&self) -> Duration {
        match (self.reads_only, self.is_foreign) {
            (true, _) => SHORT.min(self.limit),
            (false, true) => CHANGE_IN_THE_THREAD_OF_ITS_CALLER.min(self.limit),
            (false, false) => self.limit,
        }
    }
}

fn run_all(connection: &Connection, sql: &[&str]) -> Result<(), Failure> {
    sql.iter().try_for_each(|sql| connection.execute(sql, &[]).map(drop))
}
