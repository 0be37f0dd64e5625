//! The disk space of a component on PostgreSQL.

use super::{PostgresDatabase, errors::Failure, statements::BoundStatement, transaction::PostgresTransaction};
use crate::{DiskAmount, DiskUse, Error, TableSize, disk_use::TableRow, memory::memory_of, sql_span::operation_of};
use async_trait::async_trait;
use host_database::connections::no_answer;
use std::time::Instant;

/// The tables of the component's schema with their indexes and large values, and
/// what it has in the tables that all components share.
const MEASURE: &str = "
    SELECT (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_roles r ON r.oid = n.nspowner
            JOIN store_components s ON s.role = r.rolname
            WHERE s.component = $1 AND c.relkind IN ('r', 'm', 'S')),
           o.events, o.bytes, t.timers, t.bytes, l.bytes
    FROM (SELECT count(*) AS events, coalesce(sum(octet_length(payload)), 0)::bigint AS bytes
          FROM store_outbox WHERE component = $1) o,
         (SELECT count(*) AS timers, coalesce(sum(octet_length(payload)), 0)::bigint AS bytes
          FROM store_timers WHERE component = $1) t,
         (SELECT coalesce(max(total_bytes) - min(total_bytes), 0) AS bytes FROM store_live WHERE component = $1) l";

/// The tables of the role that asks, with what its transaction has added.
const MEASURE_OWN: &str = "
    SELECT coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
    WHERE r.rolname = session_user AND c.relkind IN ('r', 'm', 'S')";

/// Counting rows would read whole tables, so the number is that of the statistics.
const TABLES: &str = "
    SELECT c.relname::text, greatest(pg_stat_get_live_tuples(c.oid), c.reltuples::bigint, 0),
           pg_total_relation_size(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_roles r ON r.oid = n.nspowner
    JOIN store_components s ON s.role = r.rolname
    WHERE s.component = $1 AND c.relkind IN ('r', 'm')
    ORDER BY 3 DESC, 1 LIMIT $2";

impl PostgresTransaction {
    /// Refuses a statement after which the database is over its quota.
    /// PostgreSQL has no limit on the size of a schema, so the host measures it
    /// each time that a component has changed much since the last time. What a
    /// component can add beyond its quota is what it changes until then.
    pub(super) async fn check_grown(&mut self, statement: &BoundStatement, begun: Instant) -> Result<(), Failure> {
        if operation_of(&statement.sql) == "DELETE" {
            return Ok(());
        }
        let shared = self.shared.clone();
        if !shared.disk.must_measure(begun.elapsed(), memory_of(&statement.parameters) as u64) {
            return Ok(());
        }
        let connection = self.guard.start_statement().map_err(Failure::transaction)?;
        let measured = sqlx::query_scalar::<_, i64>(MEASURE_OWN).fetch_one(connection);
        let measured = shared.connections.unless_silent(measured).await;
        self.guard.end_statement();
        let bytes = measured.unwrap_or_else(|| Err(no_answer()))?;
        shared.disk.has_grown_to(bytes.cast_unsigned());
        shared.disk.check_growth().map_err(Failure::statement)
    }
}

#[async_trait]
impl DiskUse for PostgresDatabase {
    async fn measure(&self) -> Result<DiskAmount, Error> {
        let measured: (i64, i64, i64, i64, i64, i64) = sqlx::query_as(MEASURE)
            .bind(&self.shared.component)
            .fetch_one(&self.host)
            .await
            .map_err(Failure::error_of)?;
        let (tables, events, event_bytes, timers, timer_bytes, live_bytes) = measured;
        self.count_requests().await?;
        let payloads = event_bytes.saturating_add(timer_bytes).saturating_add(live_bytes);
        let bytes = tables.saturating_add(payloads).cast_unsigned();
        let amount = DiskAmount {
            database_bytes: bytes.saturating_add(self.shared.disk.request_bytes()),
            outbox_events: events.cast_unsigned(),
            timers: timers.cast_unsigned(),
        };
        self.shared.disk.measured(amount);
        Ok(amount)
    }

    async fn measure_tables(&self, most: u32) -> Result<Vec<TableSize>, Error> {
        let query = sqlx::query_as(TABLES).bind(&self.shared.component).bind(i64::from(most));
        let rows: Vec<TableRow> = query.fetch_all(&self.host).await.map_err(Failure::error_of)?;
        Ok(rows.into_iter().map(|row| TableSize::of(row, true)).collect())
    }

    fn set_quota(&self, quota: DiskAmount) {
        self.shared.disk.set_quota(quota);
    }

    fn last_measured(&self) -> DiskAmount {
        self.shared.disk.known()
    }

    fn quota(&self) -> DiskAmount {
        self.shared.disk.quota()
    }
}
