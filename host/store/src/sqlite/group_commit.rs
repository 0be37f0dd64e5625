//! The connection that writes, and the group of transactions that share its next
//! commit (see [`writer`](super::writer)).

use super::{connection::component_of, errors::Failure, writing::Writing};
use crate::{Error, database::shutting_down, limits::Limits};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::sync::oneshot;

/// The most transactions that share a commit.
const GROUP_TRANSACTIONS: usize = 64;
/// After this time, the next transaction commits the group before it begins.
const GROUP_MS: u128 = 10;

/// The connection that writes.
pub(super) struct WriteConnection {
    path: PathBuf,
    limits: Arc<Limits>,
    /// None after a failure. It is opened again when it is needed.
    connection: Option<Writing>,
    is_closed: bool,
    /// Whether a transaction has not ended: its savepoint may be open.
    is_member_open: bool,
    group: Option<Group>,
    /// The largest size of the file, in pages. 0 if none is set.
    max_pages: Arc<AtomicU64>,
    /// The largest size that the connection has.
    set_pages: u64,
}

/// An outer transaction, and the transactions that wait for its commit.
struct Group {
    begun: Instant,
    members: Vec<oneshot::Sender<Result<(), Error>>>,
}

/// A transaction that has ended and waits for the commit of its group.
pub(super) struct GroupMember(oneshot::Receiver<Result<(), Error>>);

impl WriteConnection {
    pub(super) fn new(path: PathBuf, limits: Arc<Limits>, connection: Writing, max_pages: Arc<AtomicU64>) -> Self {
        Self {
            path,
            limits,
            connection: Some(connection),
            is_closed: false,
            is_member_open: false,
            group: None,
            max_pages,
            set_pages: 0,
        }
    }

    pub(super) async fn connection(&mut self) -> Result<&mut Writing, Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                self.set_pages = 0;
                Writing::open(&self.path, &self.limits).await.map_err(Failure::into_error)?
            }
        };
        Ok(self.connection.insert(connection))
    }

    async fn control(&mut self, sql: &'static [&'static str]) -> Result<(), Failure> {
        self.connection().await.map_err(Failure::transaction)?.control(sql).await
    }

    /// Runs statements that may wait for the disk.
    async fn control_in_thread(&mut self, sql: &'static [&'static str]) -> Result<(), Failure> {
        self.connection().await.map_err(Failure::transaction)?.control_in_thread(sql).await
    }

    /// Begins a transaction of the group, and the group if there is none.
    pub(super) async fn begin_member(&mut self) -> Result<(), Error> {
        if self.is_closed {
            return Err(Error::Unavailable("the database is closed".into()));
        }
        self.limit_size().await?;
        self.is_member_open = true;
        let sql: &[&str] =
            if self.group.is_none() { &["BEGIN IMMEDIATE", "SAVEPOINT member"] } else { &["SAVEPOINT member"] };
        self.group.get_or_insert_with(|| Group { begun: Instant::now(), members: Vec::new() });
        self.control(sql).await.map_err(Failure::into_error)
    }

    /// Sets the largest size of the file, if another one was set.
    async fn limit_size(&mut self) -> Result<(), Error> {
        let pages = self.max_pages.load(Ordering::Relaxed);
        // It may be opened now, with the size of the options.
        self.connection().await?;
        if pages != 0 && pages != self.set_pages {
            self.connection().await?.set_max_pages(pages).await.map_err(Failure::into_error)?;
            self.set_pages = pages;
        }
        Ok(())
    }

    /// Whether no ended transaction waits for the commit of the group.
    pub(super) fn is_alone(&self) -> bool {
        self.group.as_ref().is_none_or(|group| group.members.is_empty())
    }

    pub(super) fn is_group_full(&self) -> bool {
        self.group.as_ref().is_some_and(Group::is_full)
    }

    /// Whether the next transaction cannot begin before the commit of the group:
    /// the group is full, or the last transaction was dropped without an end.
    pub(super) fn must_commit_group(&self) -> bool {
        self.is_member_open || self.is_group_full()
    }

    /// Commits the transaction, which is the only one of its group.
    pub(super) async fn commit_alone(&mut self) -> Result<(), Error> {
        let ended = self.control_in_thread(&["RELEASE member", "COMMIT"]).await;
        self.member_ended(ended).await?;
        self.group = None;
        Ok(())
    }

    /// Ends the transaction, which waits for the commit of its group.
    pub(super) async fn join_group(&mut self) -> Result<GroupMember, Error> {
        let ended = self.control(&["RELEASE member"]).await;
        self.member_ended(ended).await?;
        let (sender, receiver) = oneshot::channel();
        if let Some(group) = &mut self.group {
            group.members.push(sender);
        }
        Ok(GroupMember(receiver))
    }

    async fn member_ended(&mut self, ended: Result<(), Failure>) -> Result<(), Error> {
        if ended.is_err() {
            self.roll_back_member().await;
        }
        self.is_member_open = false;
        ended.map_err(Failure::into_error)
    }

    /// Rolls back the open transaction, without the rest of the group if that is
    /// possible.
    pub(super) async fn roll_back_member(&mut self) {
        if !self.is_member_open {
            return;
        }
        // A statement whose caller was dropped may still run. It has to end
        // first, because the statements below remove its deadline.
        if let Some(connection) = &mut self.connection {
            connection.cut_off();
            if let Err(Failure { error, .. }) = connection.wait_until_idle().await {
                let component = component_of(&self.path);
                tracing::debug!(component, ?error, "the connection failed while an abandoned statement ran");
            }
        }
        if self.is_alone() || self.control_in_thread(&["ROLLBACK TO member", "RELEASE member"]).await.is_err() {
            // SQLite itself rolls everything back when it interrupts a change or
            // when the disk fails. Then the whole group is lost.
            self.roll_back_group(&Error::Conflict).await;
        }
        self.is_member_open = false;
    }

    /// Makes the changes of the group durable and tells its members.
    pub(super) async fn commit_group(&mut self) {
        self.roll_back_member().await;
        if self.group.is_none() {
            return;
        }
        match self.control_in_thread(&["COMMIT"]).await {
            Ok(()) => self.end_group(&Ok(())),
            Err(failure) => {
                let error = Error::Unavailable(format!("the commit failed: {:?}", failure.error));
                self.roll_back_group(&error).await;
            }
        }
    }

    /// Rolls back the outer transaction and tells the members of the group.
    async fn roll_back_group(&mut self, error: &Error) {
        if let Err(Failure { error: Error::Unavailable(reason), .. }) = self.control_in_thread(&["ROLLBACK"]).await {
            let component = component_of(&self.path);
            tracing::error!(component, reason, "a rollback failed, the connection is opened again");
            self.connection = None;
        }
        self.is_member_open = false;
        self.end_group(&Err(error.clone()));
    }

    fn end_group(&mut self, result: &Result<(), Error>) {
        for member in self.group.take().map(|group| group.members).unwrap_or_default() {
            // A member whose caller was dropped does not wait for it.
            drop(member.send(result.clone()));
        }
    }

    pub(super) async fn clear_prepared_statements(&mut self) {
        if let Some(connection) = &mut self.connection
            && let Err(Failure { error, .. }) = connection.clear_prepared_statements().await
        {
            let component = component_of(&self.path);
            tracing::warn!(component, ?error, "the prepared statements of the component's database were not cleared");
        }
    }

    pub(super) async fn close(&mut self) {
        self.commit_group().await;
        self.is_closed = true;
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            let component = component_of(&self.path);
            tracing::warn!(component, %error, "a connection to the component's database did not close");
        }
    }
}

impl Group {
    fn is_full(&self) -> bool {
        self.members.len() >= GROUP_TRANSACTIONS
            || (!self.members.is_empty() && self.begun.elapsed().as_millis() >= GROUP_MS)
    }
}

impl GroupMember {
    /// Waits for the commit of the group.
    pub(super) async fn result(&mut self) -> Result<(), Error> {
        (&mut self.0).await.unwrap_or_else(|_| Err(shutting_down()))
    }

    /// The result, if the group was committed or rolled back already.
    pub(super) fn known_result(&mut self) -> Option<Result<(), Error>> {
        self.0.try_recv().ok()
    }
}
