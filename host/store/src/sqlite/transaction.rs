//! One transaction of a component on SQLite. Dropping it rolls it back.

use super::{
    Shared,
    errors::Failure,
    writer::{WriteGuard, uninterrupted},
    writing::{Call, Kind, Stopped, Writing},
};
use crate::{
    DueTimer, Error, LiveEvent, Rows, Timer, Transaction, Value,
    gate::Checked,
    live::LIVE_TOPIC,
    values::{optional_text, signed},
};
use async_trait::async_trait;
use futures::future::BoxFuture;
use host_base::event::Event;
use std::{sync::Arc, time::Duration};

/// The write lock of a component, and what the commit announces.
pub(super) struct SqliteTransaction {
    shared: Arc<Shared>,
    guard: WriteGuard,
    /// Set after an error that ends the transaction, because SQLite may have
    /// rolled it back. Every later call fails.
    failed: Option<Error>,
    has_changes: bool,
    /// The events that it has published.
    published: u64,
    /// The timers that it has set.
    scheduled: u64,
    /// When the earliest timer that it has set is due. `u64::MAX` if it has set
    /// none.
    earliest_due_ms: u64,
    /// The topics that the commit notifies.
    topics: Vec<String>,
    /// The commit writes them into the log.
    live: Vec<LiveEvent>,
}

impl SqliteTransaction {
    pub(super) fn new(shared: Arc<Shared>, guard: WriteGuard) -> Self {
        Self {
            shared,
            guard,
            failed: None,
            has_changes: false,
            published: 0,
            scheduled: 0,
            earliest_due_ms: u64::MAX,
            topics: Vec::new(),
            live: Vec::new(),
        }
    }

    /// Runs a statement of the host.
    pub(super) async fn run_own(&mut self, sql: &'static str, parameters: Vec<Value>) -> Result<u64, Error> {
        self.change(self.own_call(sql, parameters)).await
    }

    /// Runs a statement of the host that may look at many rows.
    pub(super) async fn run_large_own(&mut self, sql: &'static str, parameters: Vec<Value>) -> Result<u64, Error> {
        let call = Call { kind: Kind::ChangeInThread, ..self.own_call(sql, parameters) };
        self.change(call).await
    }

    /// Runs a query of the host.
    pub(super) async fn read_own(&mut self, sql: &'static str, parameters: Vec<Value>) -> Result<Rows, Error> {
        self.rows(self.own_call(sql, parameters)).await
    }

    /// Counts a keyed request.
    pub(super) fn note_request(&self) {
        self.shared.disk.request_recorded(0);
    }

    /// Runs a statement of a migration.
    pub(super) async fn change_schema(&mut self, sql: &Arc<str>) -> Result<(), Error> {
        let limit = Duration::from_millis(self.shared.limits.migration_statement_ms);
        let (sql, pace) = (sql.clone(), self.shared.own_pace.clone());
        let call = Call { sql, parameters: Vec::new(), pace, kind: Kind::ChangeInThread, limit };
        self.change(call).await.map(drop)
    }

    /// Sets another time for a timer, and counts the attempt.
    pub(super) async fn postpone(&mut self, timer: &DueTimer, due_ms: u64) -> Result<(), Error> {
        let sql = "UPDATE host_timers SET due_ms = $4, attempt = attempt + 1 \
                   WHERE key = $1 AND generation = $2 AND attempt = $3";
        let values = vec![
            Value::Text(timer.timer.key.clone()),
            Value::Integer(timer.generation),
            Value::Integer(i64::from(timer.attempt)),
            Value::Integer(signed(due_ms)),
        ];
        self.run_own(sql, values).await?;
        self.earliest_due_ms = self.earliest_due_ms.min(due_ms);
        Ok(())
    }

    fn own_call(&self, sql: &'static str, parameters: Vec<Value>) -> Call {
        let (sql, pace, limit) = (sql.into(), self.shared.own_pace.clone(), self.shared.limits.statement_limit());
        Call { sql, parameters, pace, kind: Kind::OfHost, limit }
    }

    /// A statement of the component.
    fn call(&self, checked: Checked, parameters: Vec<Value>) -> Call {
        let Checked { sql, reads_only, pace } = checked;
        let kind = match reads_only {
            true => Kind::Query,
            false if self.guard.is_alone() => Kind::Change,
            false => Kind::ChangeInThread,
        };
        Call { sql, parameters, pace, kind, limit: self.shared.limits.statement_limit() }
    }

    async fn change(&mut self, call: Call) -> Result<u64, Error> {
        self.run(call, Writing::execute).await
    }

    async fn rows(&mut self, call: Call) -> Result<Rows, Error> {
        self.run(call, Writing::rows).await
    }

    async fn run<T>(
        &mut self,
        call: Call,
        run: for<'a> fn(&'a Writing, Call) -> BoxFuture<'a, Result<T, Stopped>>,
    ) -> Result<T, Error> {
        self.check_not_failed()?;
        let may_change = call.kind != Kind::Query;
        let result = match self.try_run(call, run).await {
            // The statement was long, so it gets a thread now.
            Err(Stopped::CutOff(call)) if !self.has_changes => match self.guard.begin_again().await {
                Ok(()) => self.try_run(call, run).await,
                Err(error) => Err(Failure::transaction(error).into()),
            },
            result => result,
        };
        // A statement that failed may have changed rows before.
        self.has_changes |= may_change;
        self.note_failure(result.map_err(|stopped| match stopped {
            Stopped::Failed(failure) => failure,
            Stopped::CutOff(_) => Failure::transaction(Error::Conflict),
        }))
    }

    async fn try_run<T>(
        &mut self,
        call: Call,
        run: for<'a> fn(&'a Writing, Call) -> BoxFuture<'a, Result<T, Stopped>>,
    ) -> Result<T, Stopped> {
        run(self.guard.connection().await?, call).await
    }

    fn check_not_failed(&self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn note_failure<T>(&mut self, result: Result<T, Failure>) -> Result<T, Error> {
        result.map_err(|failure| {
            let error = self.shared.disk.explain(failure.error);
            if failure.ends_transaction {
                self.failed = Some(error.clone());
            }
            error
        })
    }
}

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn query(&mut self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error> {
        let checked = self.shared.gate.check(statement, &parameters).await?;
        if !checked.reads_only {
            self.shared.disk.check_disk()?;
        }
        self.rows(self.call(checked, parameters)).await
    }

    async fn execute(&mut self, statement: &str, parameters: Vec<Value>) -> Result<u64, Error> {
        let checked = self.shared.gate.check(statement, &parameters).await?;
        if checked.reads_only {
            return Err(Error::Invalid("a statement that only reads is a query".into()));
        }
        self.shared.disk.check_disk()?;
        self.change(self.call(checked, parameters)).await
    }

    async fn publish(&mut self, event: &Event) -> Result<(), Error> {
        self.shared.disk.check_event(self.published)?;
        let sql = "INSERT INTO host_outbox (id, subject, source, time_ms, traceparent, payload) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let values = vec![
            Value::Text(event.id.clone()),
            Value::Text(event.subject.clone()),
            Value::Text(event.source.clone()),
            Value::Integer(signed(event.time_ms)),
            optional_text(event.traceparent.as_deref()),
            Value::Blob(event.payload.clone()),
        ];
        self.run_own(sql, values).await?;
        self.published += 1;
        Ok(())
    }

    async fn schedule(&mut self, timer: &Timer, traceparent: Option<&str>) -> Result<(), Error> {
        self.shared.disk.check_timer(self.scheduled)?;
        let sql = "REPLACE INTO host_timers (key, due_ms, payload, attempt, traceparent) VALUES ($1, $2, $3, 1, $4)";
        let values = vec![
            Value::Text(timer.key.clone()),
            Value::Integer(signed(timer.due_ms)),
            Value::Blob(timer.payload.clone()),
            optional_text(traceparent),
        ];
        self.run_own(sql, values).await?;
        self.scheduled += 1;
        self.earliest_due_ms = self.earliest_due_ms.min(timer.due_ms);
        Ok(())
    }

    async fn cancel_timer(&mut self, key: &str) -> Result<bool, Error> {
        let deleted = self.run_own("DELETE FROM host_timers WHERE key = $1", vec![Value::Text(key.to_owned())]).await?;
        Ok(deleted > 0)
    }

    fn notify(&mut self, topic: String) {
        self.topics.push(topic);
    }

    fn send_live(&mut self, event: LiveEvent) -> Result<(), Error> {
        self.shared.disk.check_growth()?;
        self.live.push(event);
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), Error> {
        let live = std::mem::take(&mut self.live);
        if !live.is_empty() && self.failed.is_none() {
            self.topics.push(LIVE_TOPIC.to_owned());
            self.log_live(live).await?;
        }
        let Self { shared, guard, failed, published, scheduled, earliest_due_ms, topics, .. } = *self;
        if let Some(error) = failed {
            guard.rollback().await;
            return Err(error);
        }
        // The signals are part of the task: a caller that is dropped during the
        // commit leaves no event without a signal.
        uninterrupted(async move {
            guard.commit().await.map_err(|error| shared.disk.explain(error))?;
            shared.disk.committed(published, scheduled);
            if published > 0 {
                shared.outbox_signal.require_read();
            }
            if earliest_due_ms < u64::MAX {
                shared.timers_signal.read_at(earliest_due_ms);
            }
            for topic in &topics {
                shared.topics.wake(topic);
            }
            Ok(())
        })
        .await?
    }

    async fn rollback(self: Box<Self>) {
        self.guard.rollback().await;
    }
}
