//! The timers of a component on SQLite.

use super::SqliteDatabase;
use crate::{
    DueTimer, Error, Timer, TimerCounts, TimerQueue, TimersSignal, Transaction,
    timer_queue::{CountRow, TimerRow},
    values::signed,
};
use async_trait::async_trait;
use std::sync::Arc;

#[async_trait]
impl TimerQueue for SqliteDatabase {
    async fn upcoming_timers(&self, now_ms: u64, limit_rows: u32) -> Result<Vec<DueTimer>, Error> {
        let sql = "SELECT generation, key, due_ms, payload, attempt, traceparent FROM host_timers \
                   WHERE due_ms <= max($1, coalesce((SELECT min(due_ms) FROM host_timers WHERE due_ms > $1), $1)) \
                   ORDER BY due_ms LIMIT $2";
        let rows: Vec<TimerRow> = self.read_own(sql, &[signed(now_ms), limit_rows.into()]).await?;
        Ok(rows.into_iter().map(DueTimer::from).collect())
    }

    async fn schedule_timers(&self) -> Result<Vec<Timer>, Error> {
        let sql = "SELECT generation, key, due_ms, payload, attempt, traceparent FROM host_timers \
                   WHERE key >= 'schedule:' AND key < 'schedule;' ORDER BY key";
        let rows: Vec<TimerRow> = self.read_own(sql, &[]).await?;
        Ok(rows.into_iter().map(|row| DueTimer::from(row).timer).collect())
    }

    async fn count_timers(&self, now_ms: u64, most: u32) -> Result<TimerCounts, Error> {
        let sql = "SELECT (SELECT count(*) FROM (SELECT 1 FROM host_timers LIMIT $2)), \
                   (SELECT count(*) FROM (SELECT 1 FROM host_timers WHERE due_ms <= $1 LIMIT $2)), \
                   (SELECT min(due_ms) FROM host_timers WHERE due_ms <= $1), \
                   (SELECT min(due_ms) FROM host_timers WHERE due_ms > $1)";
        let rows: Vec<CountRow> = self.read_own(sql, &[signed(now_ms), most.into()]).await?;
        Ok(rows.into_iter().next().unwrap_or_default().into())
    }

    async fn postpone_timer(&self, timer: &DueTimer, due_ms: u64) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        transaction.postpone(timer, due_ms).await?;
        Box::new(transaction).commit().await
    }

    fn timers_signal(&self) -> &Arc<TimersSignal> {
        &self.shared.timers_signal
    }
}
