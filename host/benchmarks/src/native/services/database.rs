//! A PostgreSQL database, and the relay from its outbox to JetStream.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, message::PublishMessage, stream};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::Notify;

pub(super) use sqlx::PgConnection as Connection;
pub(super) use sqlx::postgres::PgRow as Row;

const CONNECTIONS: u32 = 16;
/// The number of events that the relay publishes together, as in the host.
const BATCH: i64 = 256;
const AFTER_AN_ERROR: Duration = Duration::from_millis(250);
const SUBJECTS: &str = "native.events";

/// The host's own tables.
pub(super) const HOST_TABLES: &str = "
    CREATE TABLE outbox (sequence BIGSERIAL PRIMARY KEY, id TEXT NOT NULL, subject TEXT NOT NULL,
        time_ms BIGINT NOT NULL, payload BYTEA NOT NULL);
    CREATE TABLE timers (key TEXT NOT NULL UNIQUE, due_ms BIGINT NOT NULL, payload BYTEA NOT NULL);
    CREATE INDEX timers_due ON timers (due_ms);
    CREATE TABLE calls (key TEXT PRIMARY KEY, operation TEXT NOT NULL, outcome TEXT NOT NULL,
        made_ms BIGINT NOT NULL);
    CREATE TABLE authorizations (sequence BIGSERIAL PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL UNIQUE,
        currency TEXT NOT NULL, amount BIGINT NOT NULL, state TEXT NOT NULL, captured BIGINT NOT NULL DEFAULT 0,
        created_ms BIGINT NOT NULL, updated_ms BIGINT NOT NULL)";

/// One pool for reading and writing.
#[derive(Clone)]
pub(super) struct Database {
    pub(super) write: PgPool,
    pub(super) read: PgPool,
    /// Wakes the relay after a commit.
    committed: Arc<Notify>,
}

impl Database {
    pub(super) async fn open(database: &str, nats: &str) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new().test_before_acquire(false).max_connections(CONNECTIONS);
        let pool = pool.connect(database).await?;
        let context = jetstream::new(async_nats::connect(nats).await?);
        let subjects = vec![format!("{SUBJECTS}.>")];
        let events = stream::Config { name: "native-events".to_owned(), subjects, ..stream::Config::default() };
        context.create_stream(events).await.map_err(anyhow::Error::msg)?;
        let committed = Arc::new(Notify::new());
        tokio::spawn(relay(pool.clone(), context, committed.clone()));
        Ok(Self { write: pool.clone(), read: pool, committed })
    }

    pub(super) async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.write.begin().await
    }

    pub(super) async fn commit(&self, transaction: Transaction<'static, Postgres>) -> sqlx::Result<()> {
        transaction.commit().await?;
        self.committed.notify_one();
        Ok(())
    }
}

/// Publishes the events of the outbox, for as long as the process runs.
async fn relay(pool: PgPool, context: jetstream::Context, committed: Arc<Notify>) {
    loop {
        match publish_batch(&pool, &context).await {
            Ok(0) => committed.notified().await,
            Ok(_) => {}
            // The relay may start before the tables exist.
            Err(_) => tokio::time::sleep(AFTER_AN_ERROR).await,
        }
    }
}

/// Publishes one batch of events, deletes it from the outbox and returns its size.
async fn publish_batch(pool: &PgPool, context: &jetstream::Context) -> anyhow::Result<usize> {
    let events: Vec<(i64, String, String, Vec<u8>)> =
        sqlx::query_as("SELECT sequence, id, subject, payload FROM outbox ORDER BY sequence LIMIT $1")
            .bind(BATCH)
            .fetch_all(pool)
            .await?;
    let (mut sequences, mut under_way) = (Vec::new(), Vec::new());
    for (sequence, id, subject, payload) in events {
        let message = PublishMessage::build().message_id(id).payload(payload.into());
        under_way.push(context.send_publish(format!("{SUBJECTS}.{subject}"), message).await?);
        sequences.push(sequence);
    }
    for taken in under_way {
        taken.await?;
    }
    if !sequences.is_empty() {
        sqlx::query("DELETE FROM outbox WHERE sequence = ANY($1)").bind(&sequences).execute(pool).await?;
    }
    Ok(sequences.len())
}
