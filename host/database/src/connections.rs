//! Which PostgreSQL connections the host still believes in.
//!
//! The address of a database can lead to another server at any moment, for
//! example when a standby becomes the primary. A connection that exists keeps
//! its old server. That server may refuse writes, go away, or fall silent. So
//! every sign of such a change makes all pools of the host discard the
//! connections that are older than the sign. A monitor looks for the
//! signs, and the pools report those that they meet.

mod listening;
mod monitor;
mod pool;
mod session;

pub use listening::{Listening, Received};
pub use pool::{HostPool, guarded};
pub use session::{is_writable, keeps_sessions};

use parking_lot::Mutex;
use sqlx::{Error, postgres::PgDatabaseError};
use std::{
    future::pending,
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::sleep};

/// A statement that a silent connection holds gets this time after the host has
/// noticed the silence.
const GRACE: Duration = Duration::from_millis(500);
/// The longest time without an answer to a statement of the host. Its own limits
/// in the server are shorter.
const ANSWER_LIMIT: Duration = Duration::from_secs(45);

/// The connections of one host to its database, in all its pools.
#[derive(Debug)]
pub struct Connections {
    /// Connections that were made before this moment are discarded.
    trusted_since: Mutex<Instant>,
    /// When the host last noticed that connections are silent.
    silent_since: watch::Sender<Option<Instant>>,
    /// Why the database takes no writes at the moment.
    problem: Mutex<Option<String>>,
    answer_limit: Option<Duration>,
}

impl Connections {
    fn new(answer_limit: Option<Duration>) -> Arc<Self> {
        let (trusted_since, problem) = (Mutex::new(Instant::now()), Mutex::new(None));
        Arc::new(Self { trusted_since, silent_since: watch::Sender::new(None), problem, answer_limit })
    }

    /// Connections to PostgreSQL.
    pub(super) fn to_server() -> Arc<Self> {
        Self::new(Some(ANSWER_LIMIT))
    }

    /// Connections to a file, which never change their server.
    pub(super) fn to_file() -> Arc<Self> {
        Self::new(None)
    }

    /// Whether a connection of this age may be used.
    pub fn is_trusted(&self, age: Duration) -> bool {
        Instant::now().checked_sub(age).is_none_or(|made| made >= *self.trusted_since.lock())
    }

    /// Makes the pools discard all connections that exist now.
    pub fn distrust(&self) {
        *self.trusted_since.lock() = Instant::now();
    }

    /// Distrusts the connections if the error says that the server has changed.
    pub fn note(&self, error: &Error) {
        if is_sign_of_change(error) {
            self.distrust();
        }
    }

    /// Connections are silent: the pools discard them, and statements that wait
    /// for an answer fail.
    fn silent(&self) {
        self.distrust();
        self.silent_since.send_replace(Some(Instant::now()));
    }

    /// Why the database takes no writes at the moment, in words.
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().clone()
    }

    fn set_problem(&self, problem: Option<String>) {
        *self.problem.lock() = problem;
    }

    /// Waits for an answer. Returns none when the connections fall silent
    /// meanwhile.
    pub async fn unless_silent<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let limit = async {
            match self.answer_limit {
                Some(limit) => sleep(limit).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = answer => Some(answer),
            () = self.silence() => None,
            () = limit => None,
        }
    }

    /// Waits until connections that exist now have fallen silent.
    async fn silence(&self) {
        let now = Instant::now();
        let mut silent_since = self.silent_since.subscribe();
        let is_silent = silent_since.wait_for(|silent| silent.is_some_and(|silent| silent > now)).await.is_ok();
        match is_silent {
            true => sleep(GRACE).await,
            false => pending().await,
        }
    }
}

/// The error of a statement whose connection fell silent.
pub fn no_answer() -> Error {
    Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database server does not answer"))
}

/// Whether an error says that the server only reads, goes away or is gone.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
pub fn is_sign_of_change(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) => true,
        error => error
            .as_database_error()
            .and_then(|error| error.code())
            .is_some_and(|code| only_reads(&code) || ends_session(&code)),
    }
}

/// Whether this SQLSTATE says that the server, or the session, only reads.
pub fn only_reads(code: &str) -> bool {
    code == "25006"
}

/// Whether this SQLSTATE says that the server goes away, recovers, or has ended
/// the session.
pub fn ends_session(code: &str) -> bool {
    matches!(code, "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "25P04") || code.starts_with("08")
}

/// The SQLSTATE of an error of PostgreSQL.
pub fn code_of(error: &Error) -> Option<&str> {
    Some(error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;

    #[test]
    fn older_connections_are_discarded_after_a_sign_and_newer_ones_are_kept() {
        let connections = Connections::to_server();
        assert!(connections.is_trusted(Duration::ZERO));
        connections.note(&Error::RowNotFound);
        assert!(connections.is_trusted(Duration::ZERO));
        connections.note(&Error::Io(io::ErrorKind::ConnectionReset.into()));
        assert!(!connections.is_trusted(Duration::from_secs(1)));
        assert!(connections.is_trusted(Duration::ZERO));
    }

    #[test]
    fn the_states_of_a_server_that_cannot_go_on_are_signs_of_a_change() {
        assert!(only_reads("25006") && !ends_session("25006"));
        for code in ["57P01", "57P02", "57P03", "57P04", "57P05", "08000", "08003", "08006", "08P01", "25P03"] {
            assert!(ends_session(code), "{code}");
        }
        for code in ["23505", "40001", "42501", "57014", "53300", "55P03", "25P02"] {
            assert!(!ends_session(code) && !only_reads(code), "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_statement_without_an_answer_fails_when_connections_fall_silent() {
        let connections = Connections::to_server();
        assert_eq!(connections.unless_silent(ready(1)).await, Some(1));
        let waiting = tokio::spawn({
            let connections = connections.clone();
            async move { connections.unless_silent(pending::<()>()).await }
        });
        sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        connections.silent();
        assert_eq!(waiting.await.unwrap(), None);
    }
}
