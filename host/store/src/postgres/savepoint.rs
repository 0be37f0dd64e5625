//! The savepoint of a transaction, and what follows a failed statement.
//!
//! In PostgreSQL a failed statement ends its transaction, unless a savepoint is
//! before it. A savepoint before each statement would be one more round trip for
//! each. So there is one savepoint, which is part of the beginning of the
//! transaction. After a failure the transaction goes back to it and repeats the
//! changes since. They have the same effects as before, because the write lock
//! is older than the savepoint, so no other transaction has changed anything. The
//! results that the component has seen are compared. Before a statement that
//! would show the component more than can be compared, a new savepoint replaces
//! the old one.

use super::{
    errors::{Failure, Recovery},
    statements::{self, BoundStatement},
    transaction::PostgresTransaction,
};
use crate::{Error, Rows, Value, memory::memory_of};
use std::{mem, time::Instant};

const NEW_SAVEPOINT: &str = "RELEASE SAVEPOINT statement; SAVEPOINT statement";
const ROLLBACK: &str = "ROLLBACK TO SAVEPOINT statement";
/// The most changes that are repeated after a failure.
const REPEATED_CHANGES: usize = 16;
/// The most bytes of their parameters.
const REPEATED_BYTES: usize = 4 << 20;

/// A change since the savepoint, and its result.
pub(super) enum Change {
    /// A call of a function of the host.
    HostTable { sql: &'static str, parameters: Vec<Value>, answer: bool },
    /// A statement that changed this number of rows.
    Statement { statement: BoundStatement, recovery: Option<Recovery>, changed: u64 },
    /// A statement that changed rows and returned some. It cannot be repeated.
    WithRows,
}

impl Change {
    fn parameter_bytes(&self) -> usize {
        match self {
            Self::HostTable { parameters, .. } => memory_of(parameters),
            Self::Statement { statement, .. } => memory_of(&statement.parameters),
            Self::WithRows => 0,
        }
    }
}

impl PostgresTransaction {
    pub(super) async fn rows(&mut self, statement: BoundStatement, reads_only: bool) -> Result<Rows, Error> {
        self.savepoint_before(reads_only).await?;
        let mut result = self.rows_within_quota(&statement, None, reads_only).await;
        if let Some(recovery) = self.recover(&result).await? {
            result = self.rows_within_quota(&statement, Some(recovery), reads_only).await;
            self.recover(&result).await?;
        }
        if !reads_only && result.is_ok() {
            self.changes.push(Change::WithRows);
        }
        result.map_err(Failure::into_error)
    }

    pub(super) async fn change(&mut self, statement: BoundStatement) -> Result<u64, Error> {
        self.savepoint_before(false).await?;
        let mut result = self.change_within_quota(&statement, None).await;
        let recovery = self.recover(&result).await?;
        if recovery.is_some() {
            result = self.change_within_quota(&statement, recovery).await;
            self.recover(&result).await?;
        }
        if let Ok(changed) = result {
            self.changes.push(Change::Statement { statement, recovery, changed });
        }
        result.map_err(Failure::into_error)
    }

    /// Runs a statement that fails if the database is over its quota then.
    async fn change_within_quota(
        &mut self,
        statement: &BoundStatement,
        recovery: Option<Recovery>,
    ) -> Result<u64, Failure> {
        let begun = Instant::now();
        let changed = self.try_change(statement, recovery).await?;
        self.check_grown(statement, begun).await?;
        Ok(changed)
    }

    async fn rows_within_quota(
        &mut self,
        statement: &BoundStatement,
        recovery: Option<Recovery>,
        reads_only: bool,
    ) -> Result<Rows, Failure> {
        let begun = Instant::now();
        let rows = self.try_rows(statement, recovery).await?;
        if !reads_only {
            self.check_grown(statement, begun).await?;
        }
        Ok(rows)
    }

    async fn try_rows(&mut self, statement: &BoundStatement, recovery: Option<Recovery>) -> Result<Rows, Failure> {
        let connection = self.guard.start_statement().map_err(Failure::transaction)?;
        let rows = statements::rows(connection, statement.clone(), recovery, &self.shared.limits);
        let result = self.shared.connections.unless_silent(rows).await;
        self.guard.end_statement();
        result.unwrap_or_else(|| Err(Failure::no_answer()))
    }

    async fn try_change(&mut self, statement: &BoundStatement, recovery: Option<Recovery>) -> Result<u64, Failure> {
        let connection = self.guard.start_statement().map_err(Failure::transaction)?;
        let changed = statements::execute(connection, statement.clone(), recovery);
        let result = self.shared.connections.unless_silent(changed).await;
        self.guard.end_statement();
        result.unwrap_or_else(|| Err(Failure::no_answer()))
    }

    /// Sets a new savepoint if the changes since the old one could not be
    /// repeated after the next statement.
    async fn savepoint_before(&mut self, reads_only: bool) -> Result<(), Error> {
        self.check_not_failed()?;
        let needs_new = |change: &Change| match change {
            Change::HostTable { .. } => false,
            Change::Statement { .. } => reads_only,
            Change::WithRows => true,
        };
        let bytes: usize = self.changes.iter().map(Change::parameter_bytes).sum();
        if self.changes.len() >= REPEATED_CHANGES || bytes > REPEATED_BYTES || self.changes.iter().any(needs_new) {
            self.run_own(NEW_SAVEPOINT.to_owned()).await?;
            self.changes.clear();
        }
        Ok(())
    }

    /// After a failed statement, restores the state before it. Returns the
    /// recovery with which the statement may succeed.
    async fn recover<T>(&mut self, result: &Result<T, Failure>) -> Result<Option<Recovery>, Error> {
        let Err(failure) = result else { return Ok(None) };
        if failure.ends_transaction {
            self.guard.note(failure);
            self.failed = Some(failure.error.clone());
            return Ok(None);
        }
        self.run_own(ROLLBACK.to_owned()).await?;
        for change in mem::take(&mut self.changes) {
            if !self.repeat(&change).await? {
                return Err(self.fail(Failure::transaction(Error::Conflict)));
            }
            self.changes.push(change);
        }
        Ok(failure.recovery)
    }

    /// Repeats a change. Returns whether its result is the same.
    async fn repeat(&mut self, change: &Change) -> Result<bool, Error> {
        Ok(match change {
            Change::HostTable { sql, parameters, answer } => {
                self.call_function::<(bool,)>(sql, parameters.clone()).await?.0 == *answer
            }
            Change::Statement { statement, recovery, changed } => {
                self.try_change(statement, *recovery).await.is_ok_and(|again| again == *changed)
            }
            Change::WithRows => false,
        })
    }
}
