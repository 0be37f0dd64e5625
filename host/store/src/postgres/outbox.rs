//! The outbox of a component on PostgreSQL.

use super::{PostgresDatabase, errors::Failure};
use crate::{Error, Outbox, OutboxEvent, OutboxSignal, outbox::OutboxRow};
use async_trait::async_trait;
use std::sync::Arc;

#[async_trait]
impl Outbox for PostgresDatabase {
    async fn read_outbox(&self, after_sequence: i64, limit_rows: u32) -> Result<Vec<OutboxEvent>, Error> {
        let sql = "SELECT sequence, id, subject, source, time_ms, traceparent, payload \
                   FROM store_outbox WHERE component = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
        let query = sqlx::query_as(sql).bind(&self.shared.component).bind(after_sequence).bind(i64::from(limit_rows));
        let rows: Vec<OutboxRow> = query.fetch_all(&self.host).await.map_err(Failure::error_of)?;
        Ok(rows.into_iter().map(OutboxEvent::from).collect())
    }

    async fn clear_outbox(&self, up_to_sequence: i64) -> Result<(), Error> {
        let sql = "DELETE FROM store_outbox WHERE component = $1 AND sequence <= $2";
        let query = sqlx::query(sql).bind(&self.shared.component).bind(up_to_sequence);
        let deleted = query.execute(&self.host).await.map_err(Failure::error_of)?;
        self.shared.disk.carried(deleted.rows_affected());
        Ok(())
    }

    fn outbox_signal(&self) -> &Arc<OutboxSignal> {
        &self.shared.signals.outbox
    }
}
