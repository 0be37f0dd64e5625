//! The embedded bus: a durable event log in the host's own database, and a row
//! for each delivery that is not acknowledged.
//!
//! `publish` writes the rows for every subscriber in one commit. Then it offers
//! the event to the consumers in memory, so nothing polls. Only memory knows
//! which deliveries are outstanding. After a restart every delivery that was not
//! acknowledged is due again.

mod consumer;
mod dead_letters;
mod delivery_queue;
mod inspection;
mod room;
mod tail;

use super::{
    Backlog, Bus, BusError, Consumer, ConsumerBacklog, DeadLetter, DeadLetterPage, DeadLetterSummary, EventTail,
    Subjects, report_dropped,
    starts::{Log, Starts, Wanted},
};
use async_trait::async_trait;
use consumer::EmbeddedConsumer;
use host_base::{
    Disk,
    clock::{moved_ms, now_ms},
    event::Event,
};
use host_config::messaging::MessagingConfig;
use host_database::HostDatabase;
pub use inspection::{PublishedEvent, WaitingDelivery};
use parking_lot::Mutex;
use room::Room;
use sqlx::{Any, Transaction};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use tail::Tails;

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

/// The name of the log where it notes the beginnings of subscriptions.
const LOG: &str = "embedded";
const PRUNE_INTERVAL: Duration = Duration::from_secs(3_600);
const PRUNE_BATCH: u64 = 1_000;

/// The bus inside the process.
pub struct EmbeddedBus {
    log: Arc<EventLog>,
    consumers: Mutex<HashMap<String, Arc<EmbeddedConsumer>>>,
    tails: Tails,
}

/// The event log, which the bus and its consumers share.
struct EventLog {
    database: HostDatabase,
    opened: Instant,
    opened_ms: i64,
    /// By how much scripts had moved the clock before.
    moved_before_ms: u64,
    room: Room,
    /// The disk with the host's database, if it has a reserve.
    disk: Option<Disk>,
}

impl EmbeddedBus {
    /// Opens the event log in the host's database.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn open(
        database: HostDatabase,
        settings: &MessagingConfig,
        disk: Option<Disk>,
    ) -> Result<Self, BusError> {
        database.ensure_schema("bus", SCHEMA).await?;
        Starts::prepare(&database).await?;
        let latest: Option<i64> =
            sqlx::query_scalar("SELECT max(not_before_ms) FROM bus_deliveries WHERE attempts = 0")
                .fetch_one(&database.write)
                .await?;
        let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
        let log = Arc::new(EventLog {
            database,
            opened: Instant::now(),
            opened_ms: now.max(latest.unwrap_or(0)),
            moved_before_ms: moved_ms(),
            room: Room::new(settings.retained_bytes),
            disk,
        });
        tokio::spawn(prune(Arc::downgrade(&log), settings.retention));
        Ok(Self { log, consumers: Mutex::default(), tails: Tails::default() })
    }

    fn existing_consumer(&self, component: &str) -> Option<Arc<EmbeddedConsumer>> {
        self.consumers.lock().get(component).cloned()
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        self.log.check_disk()?;
        let Published { deliveries, repeated } = self.log.database.unless_silent(self.log.append_all(events)).await?;
        if repeated {
            // The first publisher may have ended after its commit and before it
            // offered the event to the consumers.
            let consumers = self.consumers.lock();
            consumers.values().for_each(|consumer| consumer.read_now());
        }
        for (component, event, token) in deliveries {
            if let Some(consumer) = self.existing_consumer(&component) {
                consumer.offer(event, token);
            }
        }
        self.tails.offer(events);
        Ok(())
    }

    async fn consumer(&self, component: &str, subjects: Subjects) -> Result<Arc<dyn Consumer>, BusError> {
        self.log.subscribe(component, &subjects).await?;
        let subjects = subjects.this_host;
        let consumer = {
            let mut consumers = self.consumers.lock();
            let new = || Arc::new(EmbeddedConsumer::new(component, self.log.clone()));
            consumers.entry(component.to_owned()).or_insert_with(new).clone()
        };
        consumer.set_subjects(subjects);
        Ok(consumer)
    }

    async fn add_dead_letter(&self, letter: DeadLetter) -> Result<(), BusError> {
        self.log.check_disk()?;
        dead_letters::insert(&self.log.database, &letter).await?;
        let Some(most) = self.log.room.dead_letters(&letter.component) else { return Ok(()) };
        let dropped = dead_letters::keep_newest(&self.log.database, &letter.component, most).await?;
        report_dropped(&letter.component, dropped, most);
        Ok(())
    }

    fn limit_dead_letters(&self, component: &str, most: u64) {
        self.log.room.set_dead_letters(component, most);
    }

    async fn dead_letters(&self, page: &DeadLetterPage) -> Result<Vec<DeadLetterSummary>, BusError> {
        dead_letters::list(&self.log.database, page).await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, BusError> {
        dead_letters::find(&self.log.database, id).await
    }

    async fn delete_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        dead_letters::delete(&self.log.database, id).await
    }

    fn problems(&self) -> Vec<String> {
        self.log.room.problems()
    }

    fn is_full(&self) -> bool {
        !self.problems().is_empty()
    }

    async fn redeliver(&self, component: &str, event: &Event) -> Result<(), BusError> {
        let mut transaction = self.log.begin().await?;
        let at_ms = self.log.now_ms();
        // The log may have pruned the event. `append` makes no deliveries to
        // other components.
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
        if let Some(consumer) = self.existing_consumer(component) {
            consumer.read_now();
        }
        Ok(())
    }

    async fn tail(&self) -> Result<Box<dyn EventTail>, BusError> {
        Ok(self.tails.open())
    }

    async fn backlog(&self) -> Result<Backlog, BusError> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT component, count(*), coalesce(sum(CASE WHEN attempts > 0 THEN 1 ELSE 0 END), 0) \
             FROM bus_deliveries GROUP BY component",
        )
        .fetch_all(&self.log.database.read)
        .await?;
        let dead_letters: i64 =
            sqlx::query_scalar("SELECT count(*) FROM bus_dead_letters").fetch_one(&self.log.database.read).await?;
        let mut consumers: BTreeMap<String, ConsumerBacklog> = {
            let consumers = self.consumers.lock();
            consumers.keys().map(|component| (component.clone(), ConsumerBacklog::default())).collect()
        };
        for (component, all, tried) in rows {
            let (pending, tried) = ((all - tried).cast_unsigned(), tried.cast_unsigned());
            consumers.insert(component, ConsumerBacklog { pending, unacknowledged: tried, redelivered: tried });
        }
        Ok(Backlog { consumers, dead_letters: dead_letters.cast_unsigned() })
    }
}

/// The deliveries that a commit has made, each with its token.
struct Published<'a> {
    deliveries: Vec<(String, &'a Event, i64)>,
    /// Whether the log had one of the events already.
    repeated: bool,
}

/// Adds an event to the log. None if the log has its id already.
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

impl EventLog {
    async fn begin(&self) -> Result<Transaction<'static, Any>, BusError> {
        Ok(self.database.begin("bus").await?)
    }

    /// Adds events to the log, with a delivery to each component that subscribes.
    async fn append_all<'a>(&self, events: &'a [Event]) -> Result<Published<'a>, BusError> {
        let mut transaction = self.begin().await?;
        let at_ms = self.now_ms();
        let mut published = Published { deliveries: Vec::new(), repeated: false };
        for event in events {
            let Some(sequence) = append(&mut transaction, event, at_ms).await? else {
                published.repeated = true;
                continue;
            };
            let inserted: Vec<(String, i64)> = sqlx::query_as(
                "INSERT INTO bus_deliveries (component, event, attempts, not_before_ms) \
                 SELECT component, $1, 0, $2 FROM bus_subscriptions WHERE subject = $3 RETURNING component, token",
            )
            .bind(sequence)
            .bind(at_ms)
            .bind(&event.subject)
            .fetch_all(&mut *transaction)
            .await?;
            published.deliveries.extend(inserted.into_iter().map(|(component, token)| (component, event, token)));
        }
        self.room.make(&mut transaction, events).await?;
        transaction.commit().await?;
        Ok(published)
    }

    /// Components cannot add to a disk that is almost full. Their events wait.
    fn check_disk(&self) -> Result<(), BusError> {
        match self.disk.as_ref().is_some_and(Disk::is_low) {
            true => Err(BusError("the disk of the host is almost full".to_owned())),
            false => Ok(()),
        }
    }

    /// The time of day when the log was opened, plus the time since then. It
    /// never goes back and never stands still, however the clock is set. So an
    /// event that was published later is also due later. It goes forward with a
    /// script that moves the clock.
    fn now_ms(&self) -> i64 {
        let elapsed_ms = i64::try_from(self.opened.elapsed().as_millis()).unwrap_or(i64::MAX);
        let moved_ms = i64::try_from(moved_ms() - self.moved_before_ms).unwrap_or(i64::MAX);
        self.opened_ms.saturating_add(elapsed_ms).saturating_add(moved_ms)
    }

    /// The time until this moment. Zero if it has passed.
    fn time_until(&self, at_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(at_ms.saturating_sub(self.now_ms())).unwrap_or_default())
    }

    async fn subscribe(&self, component: &str, subjects: &Subjects) -> Result<(), BusError> {
        let wanted = subjects;
        let subjects = &wanted.this_host;
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
        let known: BTreeSet<String> = known.into_iter().collect();
        let wanted = Wanted { component, subjects: wanted, all: subjects, subscribed: &known };
        let log = log_now(&mut transaction).await?;
        let starts = Starts::note(&mut transaction, &log, &wanted).await?;
        let at_ms = self.now_ms();
        for subject in subjects.difference(&known) {
            sqlx::query("INSERT INTO bus_subscriptions (component, subject) VALUES ($1, $2)")
                .bind(component)
                .bind(subject)
                .execute(&mut *transaction)
                .await?;
            sqlx::query(
                "INSERT INTO bus_deliveries (component, event, attempts, not_before_ms) \
                 SELECT $1, sequence, 0, $3 FROM bus_events WHERE subject = $2 AND sequence > $4 ORDER BY sequence",
            )
            .bind(component)
            .bind(subject)
            .bind(at_ms)
            .bind(starts.before(subject))
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Deletes events that are older than this and that no consumer waits for.
    async fn prune(&self, before_ms: i64) -> Result<u64, BusError> {
        let mut pruned = 0;
        loop {
            let deleted = sqlx::query(
                "DELETE FROM bus_events WHERE sequence IN (SELECT sequence FROM bus_events \
                 WHERE at_ms < $1 AND sequence NOT IN (SELECT event FROM bus_deliveries) ORDER BY sequence LIMIT 1000)",
            )
            .bind(before_ms)
            .execute(&self.database.write)
            .await?
            .rows_affected();
            pruned += deleted;
            if deleted < PRUNE_BATCH {
                return Ok(pruned);
            }
        }
    }
}

/// The log as this transaction sees it. The sequence numbers of deleted events are
/// never used again.
async fn log_now(transaction: &mut Transaction<'_, Any>) -> Result<Log<'static>, BusError> {
    let last = sqlx::query_scalar("SELECT coalesce(max(sequence), 0) FROM bus_events");
    Ok(Log { name: LOG, created_ns: 0, last: last.fetch_one(&mut **transaction).await? })
}

async fn prune(log: Weak<EventLog>, retention: Duration) {
    let mut ticks = tokio::time::interval(PRUNE_INTERVAL);
    loop {
        ticks.tick().await;
        let Some(log) = log.upgrade() else { return };
        let before_ms = log.now_ms().saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        match log.prune(before_ms).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "the bus deleted old events"),
            Err(error) => tracing::warn!(%error, "the bus cannot delete old events"),
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
