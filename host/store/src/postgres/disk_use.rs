//! The disk space of a component on PostgreSQL.

use super::{PostgresDatabase, errors::Failure};
use crate::{DiskAmount, DiskUse, Error};
use async_trait::async_trait;

/// The tables of the component's schema with their indexes and large values, and
/// what it has in the tables that all components share.
const MEASURE: &str = "
    SELECT (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_roles r ON r.oid = n.nspowner
            JOIN store_components s ON s.role = r.rolname
            WHERE s.component = $1 AND c.relkind IN ('r', 'm', 'S')),
           o.events, o.bytes, t.timers, t.bytes
    FROM (SELECT count(*) AS events, coalesce(sum(octet_length(payload)), 0)::bigint AS bytes
          FROM store_outbox WHERE component = $1) o,
         (SELECT count(*) AS timers, coalesce(sum(octet_length(payload)), 0)::bigint AS bytes
          FROM store_timers WHERE component = $1) t";

#[async_trait]
impl DiskUse for PostgresDatabase {
    async fn measure(&self) -> Result<DiskAmount, Error> {
        let measured: (i64, i64, i64, i64, i64) = sqlx::query_as(MEASURE)
            .bind(&self.shared.component)
            .fetch_one(&self.host)
            .await
            .map_err(Failure::error_of)?;
        let (tables, events, event_bytes, timers, timer_bytes) = measured;
        self.count_requests().await?;
        let bytes = tables.saturating_add(event_bytes).saturating_add(timer_bytes).cast_unsigned();
        let amount = DiskAmount {
            database_bytes: bytes.saturating_add(self.shared.disk.request_bytes()),
            outbox_events: events.cast_unsigned(),
            timers: timers.cast_unsigned(),
        };
        self.shared.disk.measured(amount);
        Ok(amount)
    }

    fn set_quota(&self, quota: DiskAmount) {
        self.shared.disk.set_quota(quota);
    }

    fn quota(&self) -> DiskAmount {
        self.shared.disk.quota()
    }
}
