//! The embedded bus: a durable log in the host's own database, and a row for
//! each delivery that is not acknowledged.
//!
//! A publication writes its rows for every subscriber in one commit, then
//! hands it over to them in the process; nothing polls. A lease lives in
//! memory, so after a restart everything that was not acknowledged is due
//! again.

mod consumer;
mod inbox;
mod letters;

use super::{Backlog, Bus, BusError, Consumer, DeadLetter, Subjects, Waiting};
use async_trait::async_trait;
use consumer::EmbeddedConsumer;
use host_base::clock::now_ms;
use host_base::event::Event;
use host_config::messaging::MessagingConfig;
use host_database::HostDatabase;
use parking_lot::Mutex;
use sqlx::{Any, Transaction};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

const SCHEMA: &[&str] = &["
    CREATE TABLE bus_events (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, subject TEXT NOT NULL,
        source TEXT NOT NULL, time_ms INTEGER NOT NULL, traceparent TEXT, payload BLOB NOT NULL,
        at_ms INTEGER NOT NULL) STRICT;
    CREATE INDEX bus_events_subject ON bus_events (subject, sequence);
    CREATE TABLE bus_subscriptions (
        component TEXT NOT NULL, subject TEXT NOT NULL, PRIMARY KEY (component, subject)) STRICT, WITHOUT ROWID;
    CREATE TABLE bus_deliveries (
        token INTEGER PRIMARY KEY AUTOINCREMENT, component TEXT NOT NULL, event INTEGER NOT NULL,
        attempts INTEGER NOT NULL, not_before_ms INTEGER NOT NULL) STRICT;
    CREATE INDEX bus_deliveries_due ON bus_deliveries (component, not_before_ms, token);
    CREATE TABLE bus_dead_letters (
        id TEXT PRIMARY KEY, component TEXT NOT NULL, kind TEXT NOT NULL, subject_id TEXT NOT NULL,
        subject TEXT NOT NULL, source TEXT NOT NULL, time_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,
        reason TEXT NOT NULL, set_aside_ms INTEGER NOT NULL, payload BLOB NOT NULL, traceparent TEXT) STRICT;
    CREATE INDEX bus_dead_letters_age ON bus_dead_letters (set_aside_ms);
"];

const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
const PRUNED_AT_ONCE: u64 = 1_000;

/// The bus inside the process.
pub struct EmbeddedBus {
    log: Arc<Log>,
    consumers: Mutex<HashMap<String, Arc<EmbeddedConsumer>>>,
}

/// The log, as the bus and its consumers share it.
struct Log {
    database: HostDatabase,
    begun: Instant,
    begun_ms: i64,
}

impl EmbeddedBus {
    /// Opens the log in the host's database.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn open(database: HostDatabase, settings: &MessagingConfig) -> Result<Self, BusError> {
        database.ensure_schema("bus", SCHEMA).await?;
        let latest: Option<i64> =
            sqlx::query_scalar("SELECT max(not_before_ms) FROM bus_deliveries WHERE attempts = 0")
                .fetch_one(&database.write)
                .await?;
        let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
        let log = Arc::new(Log { database, begun: Instant::now(), begun_ms: now.max(latest.unwrap_or(0)) });
        tokio::spawn(prune(Arc::downgrade(&log), settings.retention));
        Ok(Self { log, consumers: Mutex::default() })
    }

    fn known(&self, component: &str) -> Option<Arc<EmbeddedConsumer>> {
        self.consumers.lock().get(component).cloned()
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        let mut transaction = self.log.begin().await?;
        let at_ms = self.log.now_ms();
        let mut deliveries = Vec::new();
        let mut repeated = false;
        for event in events {
            let Some(sequence) = append(&mut transaction, event, at_ms).await? else {
                repeated = true;
                continue;
            };
            let made: Vec<(String, i64)> = sqlx::query_as(
                "INSERT INTO bus_deliveries (component, event, attempts, not_before_ms) \
                 SELECT component, $1, 0, $2 FROM bus_subscriptions WHERE subject = $3 RETURNING component, token",
            )
            .bind(sequence)
            .bind(at_ms)
            .bind(&event.subject)
            .fetch_all(&mut *transaction)
            .await?;
            deliveries.extend(made.into_iter().map(|(component, token)| (component, event, token)));
        }
        transaction.commit().await?;
        if repeated {
            // Whoever published it before may have gone before it was handed
            // over.
            let consumers = self.consumers.lock();
            consumers.values().for_each(|consumer| consumer.look());
        }
        for (component, event, token) in deliveries {
            if let Some(consumer) = self.known(&component) {
                consumer.hand_over(event, token);
            }
        }
        Ok(())
    }

    async fn consumer(&self, component: &str, subjects: Subjects) -> Result<Arc<dyn Consumer>, BusError> {
        let subjects = subjects.own;
        self.log.subscribe(component, &subjects).await?;
        let consumer = {
            let mut consumers = self.consumers.lock();
            let new = || Arc::new(EmbeddedConsumer::new(component, self.log.clone()));
            consumers.entry(component.to_owned()).or_insert_with(new).clone()
        };
        consumer.set_subjects(subjects);
        Ok(consumer)
    }

    async fn set_aside(&self, letter: DeadLetter) -> Result<(), BusError> {
        letters::insert(&self.log.database, &letter).await
    }

    async fn dead_letters(&self, limit_rows: u32) -> Result<Vec<DeadLetter>, BusError> {
        letters::list(&self.log.database, limit_rows).await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, BusError> {
        letters::find(&self.log.database, id).await
    }

    async fn forget_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        letters::delete(&self.log.database, id).await
    }

    async fn redeliver(&self, component: &str, event: &Event) -> Result<(), BusError> {
        let mut transaction = self.log.begin().await?;
        let at_ms = self.log.now_ms();
        // It may have been pruned; nobody else gets it again.
        append(&mut transaction, event, at_ms).await?;
        sqlx::query(
            "INSERT INTO bus_deliveries (component, event, attempts, not_before_ms) \
             SELECT $1, sequence, 0, $2 FROM bus_events WHERE id = $3",
        )
        .bind(component)
        .bind(at_ms)
        .bind(&event.id)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        if let Some(consumer) = self.known(component) {
            consumer.look();
        }
        Ok(())
    }

    async fn backlog(&self) -> Result<Backlog, BusError> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT component, count(*), coalesce(sum(CASE WHEN attempts > 0 THEN 1 ELSE 0 END), 0) \
             FROM bus_deliveries GROUP BY component",
        )
        .fetch_all(&self.log.database.read)
        .await?;
        let letters: i64 =
            sqlx::query_scalar("SELECT count(*) FROM bus_dead_letters").fetch_one(&self.log.database.read).await?;
        let mut consumers: BTreeMap<String, Waiting> = {
            let consumers = self.consumers.lock();
            consumers.keys().map(|component| (component.clone(), Waiting::default())).collect()
        };
        for (component, all, tried) in rows {
            let (pending, tried) = ((all - tried).cast_unsigned(), tried.cast_unsigned());
            consumers.insert(component, Waiting { pending, unacknowledged: tried, redelivered: tried });
        }
        Ok(Backlog { consumers, dead_letters: letters.cast_unsigned() })
    }
}

/// Adds an event to the log. None if its id is there already.
async fn append(transaction: &mut Transaction<'_, Any>, event: &Event, at_ms: i64) -> Result<Option<i64>, BusError> {
    let sequence = sqlx::query_scalar(
        "INSERT INTO bus_events (id, subject, source, time_ms, traceparent, payload, at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING RETURNING sequence",
    )
    .bind(&event.id)
    .bind(&event.subject)
    .bind(&event.source)
    .bind(event.time_ms.cast_signed())
    .bind(event.traceparent.as_deref())
    .bind(event.payload.as_slice())
    .bind(at_ms)
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(sequence)
}

impl Log {
    async fn begin(&self) -> Result<Transaction<'static, Any>, BusError> {
        Ok(self.database.begin("bus").await?)
    }

    /// The time of day at the start and what has passed since, so it never
    /// goes back and never stands still, however the clock is set: what was
    /// published later is also due later.
    fn now_ms(&self) -> i64 {
        self.begun_ms.saturating_add(i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    async fn subscribe(&self, component: &str, subjects: &BTreeSet<String>) -> Result<(), BusError> {
        let mut transaction = self.begin().await?;
        let known: Vec<String> = sqlx::query_scalar("SELECT subject FROM bus_subscriptions WHERE component = $1")
            .bind(component)
            .fetch_all(&mut *transaction)
            .await?;
        for subject in known.iter().filter(|subject| !subjects.contains(*subject)) {
            for sql in [
                "DELETE FROM bus_subscriptions WHERE component = $1 AND subject = $2",
                "DELETE FROM bus_deliveries WHERE component = $1 \
                 AND event IN (SELECT sequence FROM bus_events WHERE subject = $2)",
            ] {
                sqlx::query(sql).bind(component).bind(subject).execute(&mut *transaction).await?;
            }
        }
        let at_ms = self.now_ms();
        for subject in subjects.iter().filter(|subject| !known.contains(subject)) {
            sqlx::query("INSERT INTO bus_subscriptions (component, subject) VALUES ($1, $2)")
                .bind(component)
                .bind(subject)
                .execute(&mut *transaction)
                .await?;
            sqlx::query(
                "INSERT INTO bus_deliveries (component, event, attempts, not_before_ms) \
                 SELECT $1, sequence, 0, $3 FROM bus_events WHERE subject = $2 ORDER BY sequence",
            )
            .bind(component)
            .bind(subject)
            .bind(at_ms)
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Forgets events that are older than this and that nobody waits for.
    async fn prune(&self, before_ms: i64) -> Result<u64, BusError> {
        let mut pruned = 0;
        loop {
            let portion = sqlx::query(
                "DELETE FROM bus_events WHERE sequence IN (SELECT sequence FROM bus_events \
                 WHERE at_ms < $1 AND sequence NOT IN (SELECT event FROM bus_deliveries) ORDER BY sequence LIMIT 1000)",
            )
            .bind(before_ms)
            .execute(&self.database.write)
            .await?
            .rows_affected();
            pruned += portion;
            if portion < PRUNED_AT_ONCE {
                return Ok(pruned);
            }
        }
    }
}

async fn prune(log: Weak<Log>, retention: Duration) {
    let mut hours = tokio::time::interval(PRUNE_EVERY);
    loop {
        hours.tick().await;
        let Some(log) = log.upgrade() else { return };
        let before_ms = log.now_ms().saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        match log.prune(before_ms).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "old events forgotten"),
            Err(error) => tracing::warn!(%error, "old events could not be forgotten"),
        }
    }
}

impl From<sqlx::Error> for BusError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests;
