//! The inbox of a component on SQLite.

use super::{SqliteDatabase, transaction::SqliteTransaction};
use crate::{DueTimer, Error, IdempotencyKey, Inbox, Transaction, Value, values::signed};
use async_trait::async_trait;
use host_base::clock::now_ms;

/// The most marks that one transaction deletes, so that other transactions wait
/// only shortly for the writer.
const PRUNED_ROWS: u64 = 1_000;

#[async_trait]
impl Inbox for SqliteDatabase {
    async fn begin_once(&self, key: &IdempotencyKey) -> Result<Option<Box<dyn Transaction>>, Error> {
        self.shared.disk.check_disk()?;
        let mut transaction = self.begin_write().await?;
        if transaction.claim(key).await? {
            return Ok(Some(Box::new(transaction)));
        }
        Box::new(transaction).rollback().await;
        Ok(None)
    }

    async fn prune_inbox(&self, before_ms: u64) -> Result<u64, Error> {
        let sql = "DELETE FROM host_inbox WHERE event_id IN \
                   (SELECT event_id FROM host_inbox WHERE at_ms < $1 LIMIT $2)";
        let values = vec![Value::Integer(signed(before_ms)), Value::Integer(signed(PRUNED_ROWS))];
        let mut pruned = 0;
        loop {
            let mut transaction = self.begin_write().await?;
            let deleted = transaction.run_large_own(sql, values.clone()).await?;
            Box::new(transaction).commit().await?;
            pruned += deleted;
            if deleted < PRUNED_ROWS {
                return Ok(pruned);
            }
        }
    }
}

impl SqliteTransaction {
    /// Claims a key. Returns false if it cannot be claimed.
    async fn claim(&mut self, key: &IdempotencyKey) -> Result<bool, Error> {
        let changed = match key {
            IdempotencyKey::Event(id) => {
                let sql = "INSERT INTO host_inbox (event_id, at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                self.run_own(sql, vec![Value::Text(id.to_owned()), Value::Integer(signed(now_ms()))]).await?
            }
            IdempotencyKey::Timer(DueTimer { timer, generation, attempt, .. }) => {
                let sql = "DELETE FROM host_timers WHERE key = $1 AND generation = $2 AND attempt = $3";
                let (generation, attempt) = (Value::Integer(*generation), Value::Integer(i64::from(*attempt)));
                self.run_own(sql, vec![Value::Text(timer.key.clone()), generation, attempt]).await?
            }
        };
        Ok(changed > 0)
    }
}
