//! The keyed requests of a component on PostgreSQL.

use super::{
    PostgresDatabase, errors::Failure, inbox::literal, statements::BoundStatement, transaction::PostgresTransaction,
};
use crate::{
    Error, KeyState, KeyedCall, KeyedRequests, KeyedStep, Transaction, Value, keyed_requests::ROW_BYTES, values::signed,
};
use async_trait::async_trait;

/// It runs on a connection of the component, so that a component with many
/// requests takes connections from nobody else.
const FIND: &str = "SELECT held, of_print, ends, kept FROM ticketing_host.store_find_request($1, $2, $3, $4)";

const COUNT: &str = "SELECT count(*), coalesce(sum(octet_length(answer)), 0)::bigint FROM store_requests \
                     WHERE component = $1";

/// The most requests that one statement deletes.
const PRUNED_ROWS: u64 = 1_000;

#[async_trait]
impl KeyedRequests for PostgresDatabase {
    async fn begin_step(&self, call: &KeyedCall, step: &KeyedStep) -> Result<Option<Box<dyn Transaction>>, Error> {
        if matches!(step, KeyedStep::Claim | KeyedStep::Answer(_)) {
            self.shared.disk.check_growth()?;
        }
        let Some(guard) = self.write_lock.begin_once(&record(call, step)).await? else { return Ok(None) };
        match step {
            KeyedStep::Claim => self.shared.disk.request_recorded(0),
            KeyedStep::Answer(answer) => self.shared.disk.request_recorded(answer.len() as u64),
            KeyedStep::End | KeyedStep::Forget => {}
        }
        Ok(Some(Box::new(PostgresTransaction::new(self.shared.clone(), guard))))
    }

    async fn find_request(&self, call: &KeyedCall) -> Result<KeyState, Error> {
        let limits = &self.shared.limits;
        self.count_requests().await?;
        self.shared.disk.check_requests(limits.keyed_requests)?;
        let most = limits.keyed_requests_of_visitor;
        let parameters = vec![
            Value::Text(call.request.clone()),
            Value::Text(call.holder.clone()),
            Value::Integer(signed(call.since_ms())),
            Value::Integer(signed(most)),
        ];
        let found = self.read_again(BoundStatement { sql: FIND.into(), parameters }).await?;
        Ok(KeyState::of(call, found.rows.into_iter().next().unwrap_or_default(), most))
    }

    async fn prune_requests(&self, before_ms: u64) -> Result<u64, Error> {
        let sql = "DELETE FROM store_requests WHERE component = $1 AND request IN \
                   (SELECT request FROM store_requests WHERE component = $1 AND at_ms < $2 LIMIT $3)";
        let mut pruned = 0;
        loop {
            let query = sqlx::query(sql).bind(&self.shared.component).bind(signed(before_ms)).bind(signed(PRUNED_ROWS));
            let deleted = query.execute(&self.host).await.map_err(Failure::error_of)?.rows_affected();
            self.shared.disk.requests_pruned(deleted);
            pruned += deleted;
            if deleted < PRUNED_ROWS {
                return Ok(pruned);
            }
        }
    }
}

impl PostgresDatabase {
    /// Counts the requests again, if the last count is old.
    pub(super) async fn count_requests(&self) -> Result<(), Error> {
        if self.shared.disk.must_count_requests() {
            let query = sqlx::query_as(COUNT).bind(&self.shared.component);
            let (count, bytes): (i64, i64) = query.fetch_one(&self.host).await.map_err(Failure::error_of)?;
            let (count, bytes) = (count.cast_unsigned(), bytes.cast_unsigned());
            self.shared.disk.requests_counted(count, bytes.saturating_add(count.saturating_mul(ROW_BYTES)));
        }
        Ok(())
    }
}

/// The statement that records a step, and returns whether it could. It is part
/// of the text that begins a transaction.
fn record(call: &KeyedCall, step: &KeyedStep) -> String {
    let (request, attempt) = (literal(&call.request), literal(&call.attempt));
    let (ends_ms, answer) = match step {
        KeyedStep::End => return format!("SELECT ticketing_host.store_end_request({request}, {attempt}); "),
        KeyedStep::Forget => return format!("SELECT ticketing_host.store_forget_request({request}, {attempt}); "),
        KeyedStep::Claim => (call.ends_ms, "NULL".to_owned()),
        KeyedStep::Answer(answer) => (0, format!("'\\x{}'", hex::encode(answer))),
    };
    format!(
        "SELECT ticketing_host.store_record_request({request}, {}, {}, {attempt}, {}, {}, {}, {answer}); ",
        literal(&call.fingerprint),
        literal(&call.holder),
        signed(call.at_ms),
        signed(ends_ms),
        signed(call.since_ms()),
    )
}
