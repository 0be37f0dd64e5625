//! The keyed requests of a component on SQLite.

use super::{SqliteDatabase, transaction::SqliteTransaction};
use crate::{
    Error, KeyState, KeyedCall, KeyedRequests, KeyedStep, Transaction, Value, keyed_requests::KEPT_MS, values::signed,
};
use async_trait::async_trait;
use std::sync::Arc;

const FIND: &str = "
    SELECT (SELECT count(*) FROM (SELECT 1 FROM host_requests WHERE holder = $2 AND at_ms >= $3 LIMIT $4)),
           r.fingerprint, r.ends_ms, r.answer
    FROM (SELECT 1) LEFT JOIN host_requests AS r ON r.request = $1 AND r.at_ms >= $3";

const RECORD: &str = "
    INSERT INTO host_requests (request, fingerprint, holder, attempt, at_ms, ends_ms, answer)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (request) DO UPDATE
    SET fingerprint = excluded.fingerprint, holder = excluded.holder, attempt = excluded.attempt,
        at_ms = excluded.at_ms, ends_ms = excluded.ends_ms, answer = excluded.answer
    WHERE attempt = excluded.attempt OR at_ms < excluded.at_ms - $8";

/// The most requests that one transaction deletes, so that other transactions
/// wait only shortly for the writer.
const PRUNED_ROWS: u64 = 500;

#[async_trait]
impl KeyedRequests for SqliteDatabase {
    async fn begin_step(&self, call: &KeyedCall, step: &KeyedStep) -> Result<Option<Box<dyn Transaction>>, Error> {
        self.shared.disk.check_disk()?;
        let mut transaction = self.begin_write().await?;
        if transaction.record_step(call, step).await? {
            return Ok(Some(Box::new(transaction)));
        }
        Box::new(transaction).rollback().await;
        Ok(None)
    }

    async fn find_request(&self, call: &KeyedCall) -> Result<KeyState, Error> {
        let limits = &self.shared.limits;
        self.count_requests().await?;
        self.shared.disk.check_requests(limits.keyed_requests)?;
        let text = |text: &String| Value::Text(text.clone());
        let most = limits.keyed_requests_of_visitor;
        let values = vec![
            text(&call.request),
            text(&call.holder),
            Value::Integer(signed(call.since_ms())),
            Value::Integer(signed(most)),
        ];
        let found = self.rows(&self.shared.own_pace, Arc::from(FIND), values).await?;
        Ok(KeyState::of(call, found.rows.into_iter().next().unwrap_or_default(), most))
    }

    async fn prune_requests(&self, before_ms: u64) -> Result<u64, Error> {
        let sql = "DELETE FROM host_requests WHERE request IN \
                   (SELECT request FROM host_requests WHERE at_ms < $1 LIMIT $2)";
        let values = vec![Value::Integer(signed(before_ms)), Value::Integer(signed(PRUNED_ROWS))];
        let mut pruned = 0;
        loop {
            let mut transaction = self.begin_write().await?;
            let deleted = transaction.run_large_own(sql, values.clone()).await?;
            Box::new(transaction).commit().await?;
            self.shared.disk.requests_pruned(deleted);
            pruned += deleted;
            if deleted < PRUNED_ROWS {
                return Ok(pruned);
            }
        }
    }
}

impl SqliteDatabase {
    /// Counts the requests again, if the last count is old.
    pub(super) async fn count_requests(&self) -> Result<(), Error> {
        if self.shared.disk.must_count_requests() {
            let rows: Vec<(i64,)> = self.read_large_own("SELECT count(*) FROM host_requests", &[]).await?;
            let requests = rows.first().map_or(0, |(count,)| count.cast_unsigned());
            // The bytes are part of the file.
            self.shared.disk.requests_counted(requests, 0);
        }
        Ok(())
    }
}

impl SqliteTransaction {
    /// Records a step. Returns false if the key belongs to another call.
    async fn record_step(&mut self, call: &KeyedCall, step: &KeyedStep) -> Result<bool, Error> {
        let text = |text: &String| Value::Text(text.clone());
        let own = || vec![text(&call.request), text(&call.attempt)];
        let changed = match step {
            KeyedStep::End => {
                let sql = "UPDATE host_requests SET ends_ms = 0 WHERE request = $1 AND attempt = $2";
                self.run_own(sql, own()).await?
            }
            KeyedStep::Forget => {
                self.run_own("DELETE FROM host_requests WHERE request = $1 AND attempt = $2", own()).await?
            }
            KeyedStep::Claim | KeyedStep::Answer(_) => {
                let (ends_ms, answer) = match step {
                    KeyedStep::Answer(answer) => (0, Value::Blob(answer.clone())),
                    _ => (call.ends_ms, Value::Null),
                };
                let values = vec![
                    text(&call.request),
                    text(&call.fingerprint),
                    text(&call.holder),
                    text(&call.attempt),
                    Value::Integer(signed(call.at_ms)),
                    Value::Integer(signed(ends_ms)),
                    answer,
                    Value::Integer(signed(KEPT_MS)),
                ];
                let changed = self.run_own(RECORD, values).await?;
                self.note_request();
                changed
            }
        };
        Ok(changed > 0)
    }
}
