//! One transaction of a component on PostgreSQL. Dropping it rolls it back.

use super::{
    Shared,
    errors::Failure,
    live_log::LiveInsert,
    outbox_insert::OutboxInsert,
    savepoint::Change,
    statements::BoundStatement,
    write_guard::{LastStatements, WriteGuard},
};
use crate::{
    Error, LiveEvent, OutboxBatch, Rows, Timer, Transaction, Value,
    gate::Checked,
    limits::Limits,
    sql_span::operation_of,
    values::{optional_text, signed},
};
use async_trait::async_trait;
use host_base::event::Event;
use host_database::connections::no_answer;
use sqlx::{AssertSqlSafe, Executor, FromRow, postgres::PgRow};
use std::sync::Arc;

/// The write lock of a component, and what the commit announces.
pub(super) struct PostgresTransaction {
    pub(super) shared: Arc<Shared>,
    pub(super) guard: WriteGuard,
    /// Set after an error that ends the transaction. Every later call fails.
    pub(super) failed: Option<Error>,
    /// The changes since the savepoint.
    pub(super) changes: Vec<Change>,
    /// The commit adds them to the outbox.
    published: Vec<Event>,
    /// The timers that it has set.
    scheduled: u64,
    /// The bytes of the payloads of its events and timers.
    payload_bytes: u64,
    /// When the earliest timer that it has set is due. `u64::MAX` if it has set
    /// none.
    earliest_due_ms: u64,
    /// The topics that the commit notifies.
    topics: Vec<String>,
    /// The commit writes them into the log.
    live: Vec<LiveEvent>,
}

impl PostgresTransaction {
    pub(super) fn new(shared: Arc<Shared>, guard: WriteGuard) -> Self {
        Self {
            shared,
            guard,
            failed: None,
            changes: Vec::new(),
            published: Vec::new(),
            scheduled: 0,
            payload_bytes: 0,
            earliest_due_ms: u64::MAX,
            topics: Vec::new(),
            live: Vec::new(),
        }
    }

    /// Refuses a statement that could make a database grow that is over its
    /// quota.
    fn check_growth(&self, statement: &str, checked: &Checked) -> Result<(), Error> {
        match checked.reads_only || operation_of(statement) == "DELETE" {
            true => Ok(()),
            false => self.shared.disk.check_growth(),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Runs statements of the host without parameters.
    pub(super) async fn run_own(&mut self, sql: String) -> Result<(), Error> {
        self.check_not_failed()?;
        let connection = self.guard.start_statement()?;
        let result = self.shared.connections.unless_silent(connection.execute(AssertSqlSafe(sql))).await;
        self.guard.end_statement();
        result.unwrap_or_else(|| Err(no_answer())).map(drop).map_err(|error| self.fail(error.into()))
    }

    /// Calls a function of the host. Its first parameter is the secret. An error
    /// ends the transaction.
    pub(super) async fn call_function<T>(&mut self, sql: &'static str, parameters: Vec<Value>) -> Result<T, Error>
    where
        T: for<'row> FromRow<'row, PgRow> + Send + Unpin,
    {
        self.check_not_failed()?;
        let mut query = sqlx::query_as(sql).bind(&self.shared.secret);
        for parameter in parameters {
            query = match parameter {
                Value::Null => query.bind(None::<String>),
                Value::Integer(integer) => query.bind(integer),
                Value::Real(real) => query.bind(real),
                Value::Text(text) => query.bind(text),
                Value::Blob(bytes) => query.bind(bytes),
            };
        }
        let answer = query.fetch_one(self.guard.start_statement()?);
        let result = self.shared.connections.unless_silent(answer).await;
        self.guard.end_statement();
        result.unwrap_or_else(|| Err(no_answer())).map_err(|error| self.fail(error.into()))
    }

    /// Calls a function of the host that changes its tables.
    async fn change_host_table(&mut self, sql: &'static str, parameters: Vec<Value>) -> Result<bool, Error> {
        let (answer,): (bool,) = self.call_function(sql, parameters.clone()).await?;
        self.changes.push(Change::HostTable { sql, parameters, answer });
        Ok(answer)
    }

    pub(super) fn check_not_failed(&self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    pub(super) fn fail(&mut self, failure: Failure) -> Error {
        self.guard.note(&failure);
        self.failed = Some(failure.error.clone());
        failure.error
    }
}

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn query(&mut self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error> {
        let checked = self.shared.gate.check(statement, &parameters).await?;
        self.check_growth(statement, &checked)?;
        self.rows(BoundStatement { sql: checked.sql, parameters }, checked.reads_only).await
    }

    async fn execute(&mut self, statement: &str, parameters: Vec<Value>) -> Result<u64, Error> {
        let checked = self.shared.gate.check(statement, &parameters).await?;
        if checked.reads_only {
            return Err(Error::Invalid("a statement that only reads is a query".into()));
        }
        self.check_growth(statement, &checked)?;
        self.change(BoundStatement { sql: checked.sql, parameters }).await
    }

    async fn publish(&mut self, event: &Event) -> Result<(), Error> {
        self.check_not_failed()?;
        self.shared.disk.check_event(self.published.len() as u64)?;
        self.published.push(event.clone());
        self.payload_bytes += event.payload.len() as u64;
        Ok(())
    }

    async fn schedule(&mut self, timer: &Timer, traceparent: Option<&str>) -> Result<(), Error> {
        self.shared.disk.check_timer(self.scheduled)?;
        let parameters = vec![
            Value::Text(timer.key.clone()),
            Value::Integer(signed(timer.due_ms)),
            Value::Blob(timer.payload.clone()),
            optional_text(traceparent),
        ];
        self.change_host_table("SELECT ticketing_host.store_schedule($1, $2, $3, $4, $5)", parameters).await?;
        self.scheduled += 1;
        self.payload_bytes += timer.payload.len() as u64;
        self.earliest_due_ms = self.earliest_due_ms.min(timer.due_ms);
        Ok(())
    }

    async fn cancel_timer(&mut self, key: &str) -> Result<bool, Error> {
        let parameters = vec![Value::Text(key.to_owned())];
        self.change_host_table("SELECT ticketing_host.store_cancel_timer($1, $2)", parameters).await
    }

    fn notify(&mut self, topic: String) {
        self.topics.push(topic);
    }

    fn send_live(&mut self, event: LiveEvent) -> Result<(), Error> {
        self.check_not_failed()?;
        self.shared.disk.check_growth()?;
        self.payload_bytes += event.bytes();
        self.live.push(event);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), Error> {
        let Self { shared, guard, failed, published, scheduled, payload_bytes, earliest_due_ms, topics, live, .. } =
            *self;
        if let Some(error) = failed {
            guard.rollback().await;
            return Err(error);
        }
        let events = published.len() as u64;
        let is_live = !live.is_empty();
        let last = LastStatements {
            live: LiveInsert::new(&shared.secret, live),
            outbox: OutboxInsert::new(&shared.secret, published),
        };
        let connections = shared.connections.clone();
        let announce = move |batch: Option<OutboxBatch>| {
            shared.disk.committed(events, scheduled);
            shared.disk.stored(payload_bytes);
            if let Some(batch) = batch {
                shared.announce_events(batch);
            }
            if earliest_due_ms < u64::MAX {
                shared.announce_timer(earliest_due_ms);
            }
            if is_live {
                shared.topic_channel.announce_live(&shared.component);
            }
            for topic in topics {
                shared.topic_channel.announce(&shared.component, topic);
            }
        };
        guard.commit(last, connections, announce).await
    }

    async fn rollback(self: Box<Self>) {
        self.guard.rollback().await;
    }
}

impl Shared {
    fn announce_events(&self, batch: OutboxBatch) {
        self.channel.announce_events(&self.component, &self.signals, batch);
    }

    pub(super) fn announce_timer(&self, due_ms: u64) {
        self.channel.announce_timer(&self.component, &self.signals, due_ms);
    }
}
