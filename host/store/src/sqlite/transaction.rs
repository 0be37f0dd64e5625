//! One transaction of a component. Dropping it rolls it back.

use super::{
    super::{DueTimer, Error, Once, Rows, Timer, Transaction, Value},
    Shared, clamp,
    errors::Failure,
    writer::{Turn, uninterrupted},
};
use async_trait::async_trait;
use host_base::{clock::now_ms, event::Event};
use std::sync::Arc;

/// A turn at the writer, and what its commit will announce.
pub(super) struct SqliteTransaction {
    shared: Arc<Shared>,
    turn: Turn,
    /// After this, SQLite may have rolled back: nothing more is done.
    failed: Option<Error>,
    wakes_outbox: bool,
    /// When the next of the timers that it has set is due; never, without one.
    due_ms: u64,
}

impl SqliteTransaction {
    pub(super) fn new(shared: Arc<Shared>, turn: Turn) -> Self {
        Self { shared, turn, failed: None, wakes_outbox: false, due_ms: u64::MAX }
    }

    /// Runs a statement of the host's own.
    pub(super) async fn run(&mut self, sql: &'static str, parameters: Vec<Value>) -> Result<u64, Error> {
        self.change(&Arc::from(sql), parameters, self.shared.limits.statement_ms).await
    }

    /// Runs a query of the host's own.
    pub(super) async fn read(&mut self, sql: &'static str, parameters: Vec<Value>) -> Result<Rows, Error> {
        self.rows(&Arc::from(sql), parameters).await
    }

    /// Runs a statement of a migration.
    pub(super) async fn run_schema_change(&mut self, sql: &Arc<str>) -> Result<(), Error> {
        self.change(sql, Vec::new(), self.shared.limits.migration_statement_ms).await.map(drop)
    }

    /// Notes that it is done. False if there is nothing to do.
    pub(super) async fn note_once(&mut self, what: &Once) -> Result<bool, Error> {
        let changed = match what {
            Once::Event(id) => {
                let sql = "INSERT INTO host_inbox (event_id, at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                self.run(sql, vec![Value::Text(id.to_owned()), Value::Integer(clamp(now_ms()))]).await?
            }
            Once::Timer(timer) => {
                let values = vec![
                    Value::Text(timer.timer.key.clone()),
                    Value::Integer(timer.generation),
                    Value::Integer(i64::from(timer.attempt)),
                ];
                self.run("DELETE FROM host_timers WHERE key = $1 AND generation = $2 AND attempt = $3", values).await?
            }
        };
        Ok(changed > 0)
    }

    async fn change(&mut self, sql: &Arc<str>, parameters: Vec<Value>, statement_ms: u64) -> Result<u64, Error> {
        self.goes_on()?;
        let result = match self.turn.connection().await {
            Ok(connection) => connection.execute(sql, parameters, statement_ms).await,
            Err(failure) => Err(failure),
        };
        self.note(result)
    }

    async fn rows(&mut self, sql: &Arc<str>, parameters: Vec<Value>) -> Result<Rows, Error> {
        self.goes_on()?;
        let result = match self.turn.connection().await {
            Ok(connection) => connection.rows(sql, parameters, &self.shared.limits).await,
            Err(failure) => Err(failure),
        };
        self.note(result)
    }

    fn goes_on(&self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn note<T>(&mut self, result: Result<T, Failure>) -> Result<T, Error> {
        result.map_err(|failure| {
            if failure.ends_transaction {
                self.failed = Some(failure.error.clone());
            }
            failure.error
        })
    }
}

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn query(&mut self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error> {
        let permitted = self.shared.gate.check(statement, &parameters).await?;
        self.rows(&permitted.sql, parameters).await
    }

    async fn execute(&mut self, statement: &str, parameters: Vec<Value>) -> Result<u64, Error> {
        let permitted = self.shared.gate.check(statement, &parameters).await?;
        if permitted.reads_only {
            return Err(Error::Invalid("a statement that only reads is a query".into()));
        }
        self.change(&permitted.sql, parameters, self.shared.limits.statement_ms).await
    }

    async fn publish(&mut self, event: &Event) -> Result<(), Error> {
        self.run(
            "INSERT INTO host_outbox (id, subject, source, time_ms, traceparent, payload) VALUES ($1, $2, $3, $4, $5, $6)",
            vec![
                Value::Text(event.id.clone()),
                Value::Text(event.subject.clone()),
                Value::Text(event.source.clone()),
                Value::Integer(clamp(event.time_ms)),
                optional(event.traceparent.as_deref()),
                Value::Blob(event.payload.clone()),
            ],
        )
        .await?;
        self.wakes_outbox = true;
        Ok(())
    }

    async fn schedule(&mut self, timer: &Timer, traceparent: Option<&str>) -> Result<(), Error> {
        self.run(
            "REPLACE INTO host_timers (key, due_ms, payload, attempt, traceparent) VALUES ($1, $2, $3, 1, $4)",
            vec![
                Value::Text(timer.key.clone()),
                Value::Integer(clamp(timer.due_ms)),
                Value::Blob(timer.payload.clone()),
                optional(traceparent),
            ],
        )
        .await?;
        self.due_ms = self.due_ms.min(timer.due_ms);
        Ok(())
    }

    async fn cancel_timer(&mut self, key: &str) -> Result<bool, Error> {
        let removed = self.run("DELETE FROM host_timers WHERE key = $1", vec![Value::Text(key.to_owned())]).await?;
        Ok(removed > 0)
    }

    async fn put_off_timer(&mut self, timer: &DueTimer, due_ms: u64) -> Result<(), Error> {
        self.run(
            "UPDATE host_timers SET due_ms = $3, attempt = attempt + 1 \
             WHERE key = $1 AND generation = $2 AND attempt = $4",
            vec![
                Value::Text(timer.timer.key.clone()),
                Value::Integer(timer.generation),
                Value::Integer(clamp(due_ms)),
                Value::Integer(i64::from(timer.attempt)),
            ],
        )
        .await?;
        self.due_ms = self.due_ms.min(due_ms);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), Error> {
        let Self { shared, turn, failed, wakes_outbox, due_ms } = *self;
        if let Some(error) = failed {
            turn.rollback().await;
            return Err(error);
        }
        // Waking is a part of it: a caller that goes away leaves no event that
        // nobody looks for.
        uninterrupted(async move {
            turn.commit().await?;
            if wakes_outbox {
                shared.signals.outbox.look();
            }
            if due_ms < u64::MAX {
                shared.signals.timers.look_at(due_ms);
            }
            Ok(())
        })
        .await?
    }

    async fn rollback(self: Box<Self>) {
        self.turn.rollback().await;
    }
}

fn optional(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(text.to_owned()))
}
