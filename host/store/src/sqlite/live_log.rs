//! The live events of a component on SQLite.

use super::{SqliteDatabase, transaction::SqliteTransaction};
use crate::{
    Error, LiveEvent, LiveLog, LoggedEvent, OpenListener, Transaction, Value,
    live::{LIVE_EVENTS, LIVE_KEPT_MS, LIVE_LATER_BYTES, LiveRow},
    values::signed,
};
use async_trait::async_trait;
use host_base::clock::now_ms;

/// The last row is always there, so its number plus 1 is the next one.
const INSERT: &str = "
    INSERT INTO host_live (at_ms, total_bytes, channel, name, data)
    VALUES ($1, coalesce((SELECT total_bytes FROM host_live ORDER BY sequence DESC LIMIT 1), 0) + $2, $3, $4, $5)";

/// Looks at the rows that it deletes, and at one more: the signs keep SQLite from
/// sorting all rows.
const PRUNE: &str = "
    DELETE FROM host_live WHERE sequence < (
        SELECT sequence FROM host_live
        WHERE +sequence = (SELECT max(sequence) FROM host_live)
           OR (+sequence > (SELECT max(sequence) FROM host_live) - $1 AND at_ms >= $3
               AND total_bytes > (SELECT total_bytes FROM host_live ORDER BY sequence DESC LIMIT 1) - $2)
        ORDER BY sequence LIMIT 1)";

#[async_trait]
impl LiveLog for SqliteDatabase {
    async fn read_live(&self, after_sequence: u64) -> Result<Vec<LoggedEvent>, Error> {
        let sql = "SELECT sequence, at_ms, channel, name, data FROM host_live WHERE sequence > $1 ORDER BY sequence";
        let rows: Vec<LiveRow> = self.read_own(sql, &[signed(after_sequence)]).await?;
        Ok(rows.into_iter().map(LoggedEvent::from).collect())
    }

    fn listen_live(&self) -> OpenListener {
        self.shared.topics.listen_live()
    }

    async fn prune_live(&self, before_ms: u64) -> Result<u64, Error> {
        let mut transaction = self.begin_write().await?;
        let deleted = transaction.prune_live(before_ms).await?;
        Box::new(transaction).commit().await?;
        Ok(deleted)
    }
}

impl SqliteTransaction {
    /// Writes events at the end of the log, and deletes what it keeps no longer.
    pub(super) async fn log_live(&mut self, events: Vec<LiveEvent>) -> Result<(), Error> {
        let now_ms = now_ms();
        for event in events {
            let values = vec![
                Value::Integer(signed(now_ms)),
                Value::Integer(signed(event.bytes())),
                Value::Text(event.channel),
                Value::Text(event.name),
                Value::Text(event.data),
            ];
            self.run_own(INSERT, values).await?;
        }
        self.prune_live(now_ms.saturating_sub(LIVE_KEPT_MS)).await.map(drop)
    }

    async fn prune_live(&mut self, before_ms: u64) -> Result<u64, Error> {
        let limits = [signed(LIVE_EVENTS), signed(LIVE_LATER_BYTES), signed(before_ms)];
        self.run_own(PRUNE, limits.map(Value::Integer).to_vec()).await
    }
}
