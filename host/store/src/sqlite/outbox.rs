//! The outbox of a component on SQLite.

use super::SqliteDatabase;
use crate::{Error, Outbox, OutboxEvent, OutboxSignal, Transaction, Value, outbox::OutboxRow};
use async_trait::async_trait;
use std::sync::Arc;

#[async_trait]
impl Outbox for SqliteDatabase {
    async fn read_outbox(&self, after_sequence: i64, limit_rows: u32) -> Result<Vec<OutboxEvent>, Error> {
        let sql = "SELECT sequence, id, subject, source, time_ms, traceparent, payload \
                   FROM host_outbox WHERE sequence > $1 ORDER BY sequence LIMIT $2";
        let rows: Vec<OutboxRow> = self.read_own(sql, &[after_sequence, limit_rows.into()]).await?;
        Ok(rows.into_iter().map(OutboxEvent::from).collect())
    }

    async fn clear_outbox(&self, up_to_sequence: i64) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        let values = vec![Value::Integer(up_to_sequence)];
        let deleted = transaction.run_large_own("DELETE FROM host_outbox WHERE sequence <= $1", values).await?;
        Box::new(transaction).commit().await?;
        self.shared.disk.carried(deleted);
        Ok(())
    }

    fn outbox_signal(&self) -> &Arc<OutboxSignal> {
        &self.shared.outbox_signal
    }
}
