//! The timers of a component on PostgreSQL.

use super::{PostgresDatabase, errors::Failure};
use crate::{
    DueTimer, Error, SCHEDULE_KEYS, Timer, TimerCounts, TimerQueue, TimersSignal,
    timer_queue::{CountRow, TimerRow},
    values::signed,
};
use async_trait::async_trait;
use std::sync::Arc;

#[async_trait]
impl TimerQueue for PostgresDatabase {
    async fn upcoming_timers(&self, now_ms: u64, limit_rows: u32) -> Result<Vec<DueTimer>, Error> {
        let sql = "SELECT generation, key, due_ms, payload, attempt, traceparent FROM store_timers \
                   WHERE component = $1 AND due_ms <= \
                   greatest($2, (SELECT min(due_ms) FROM store_timers WHERE component = $1 AND due_ms > $2)) \
                   ORDER BY due_ms LIMIT $3";
        let query = sqlx::query_as(sql).bind(&self.shared.component).bind(signed(now_ms)).bind(i64::from(limit_rows));
        let rows: Vec<TimerRow> = query.fetch_all(&self.host).await.map_err(Failure::error_of)?;
        Ok(rows.into_iter().map(DueTimer::from).collect())
    }

    async fn schedule_timers(&self) -> Result<Vec<Timer>, Error> {
        let sql = "SELECT generation, key, due_ms, payload, attempt, traceparent FROM store_timers \
                   WHERE component = $1 AND starts_with(key, $2) ORDER BY key";
        let query = sqlx::query_as(sql).bind(&self.shared.component).bind(SCHEDULE_KEYS);
        let rows: Vec<TimerRow> = query.fetch_all(&self.host).await.map_err(Failure::error_of)?;
        Ok(rows.into_iter().map(|row| DueTimer::from(row).timer).collect())
    }

    async fn count_timers(&self, now_ms: u64, most: u32) -> Result<TimerCounts, Error> {
        let sql = "SELECT (SELECT count(*) FROM (SELECT FROM store_timers WHERE component = $1 LIMIT $3) a), \
                   (SELECT count(*) FROM (SELECT FROM store_timers WHERE component = $1 AND due_ms <= $2 LIMIT $3) d), \
                   (SELECT min(due_ms) FROM store_timers WHERE component = $1 AND due_ms <= $2), \
                   (SELECT min(due_ms) FROM store_timers WHERE component = $1 AND due_ms > $2)";
        let query = sqlx::query_as(sql).bind(&self.shared.component).bind(signed(now_ms)).bind(i64::from(most));
        let row: CountRow = query.fetch_one(&self.host).await.map_err(Failure::error_of)?;
        Ok(row.into())
    }

    async fn postpone_timer(&self, timer: &DueTimer, due_ms: u64) -> Result<(), Error> {
        let sql = "UPDATE store_timers SET due_ms = $5, attempt = attempt + 1 \
                   WHERE component = $1 AND key = $2 AND generation = $3 AND attempt = $4";
        let query = sqlx::query(sql)
            .bind(&self.shared.component)
            .bind(&timer.timer.key)
            .bind(timer.generation)
            .bind(i64::from(timer.attempt))
            .bind(signed(due_ms));
        query.execute(&self.host).await.map_err(Failure::error_of)?;
        self.shared.announce_timer(due_ms);
        Ok(())
    }

    fn timers_signal(&self) -> &Arc<TimersSignal> {
        &self.shared.signals.timers
    }
}
