//! The inbox of a component on PostgreSQL.

use super::{PostgresDatabase, errors::Failure, transaction::PostgresTransaction};
use crate::{DueTimer, Error, IdempotencyKey, Inbox, Transaction, values::signed};
use async_trait::async_trait;
use host_base::clock::now_ms;

#[async_trait]
impl Inbox for PostgresDatabase {
    async fn begin_once(&self, key: &IdempotencyKey) -> Result<Option<Box<dyn Transaction>>, Error> {
        let Some(guard) = self.write_lock.begin_once(&claim(key)).await? else { return Ok(None) };
        Ok(Some(Box::new(PostgresTransaction::new(self.shared.clone(), guard))))
    }

    async fn prune_inbox(&self, before_ms: u64) -> Result<u64, Error> {
        let sql = "DELETE FROM store_inbox WHERE component = $1 AND at_ms < $2";
        let query = sqlx::query(sql).bind(&self.shared.component).bind(signed(before_ms));
        let pruned = query.execute(&self.host).await.map_err(Failure::error_of)?;
        Ok(pruned.rows_affected())
    }
}

/// The statement that claims a key, and returns whether it could.
///
/// It is part of the text that begins a transaction, so it has no parameters.
/// The text of the key is written as bytes, so its characters have no meaning.
fn claim(key: &IdempotencyKey) -> String {
    match key {
        IdempotencyKey::Event(id) => {
            format!("SELECT ticketing_host.store_apply({}, {}); ", literal(id), signed(now_ms()))
        }
        IdempotencyKey::Timer(DueTimer { timer, generation, attempt, .. }) => {
            format!("SELECT ticketing_host.store_fire({}, {generation}, {attempt}); ", literal(&timer.key))
        }
    }
}

/// A text as an expression without any of its characters.
pub(super) fn literal(text: &str) -> String {
    format!("pg_catalog.convert_from('\\x{}', 'UTF8')", hex::encode(text))
}
