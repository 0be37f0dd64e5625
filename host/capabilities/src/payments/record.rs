//! What every provider writes down: calls with what they came to, and the
//! authorizations with their states.

use super::{Decline, Error, LedgerEntry, LedgerState, Money, Provider, Settlement};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe};

/// A call, with everything that makes it the same call again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Operation {
    Authorize { amount: u64, currency: String, token: String },
    Capture { authorization: String },
    Void { authorization: String },
    Refund { authorization: String },
}

impl Operation {
    /// What is to be settled, and how; none if it authorizes.
    pub(super) fn settlement(&self) -> Option<(Settlement, &str)> {
        match self {
            Self::Authorize { .. } => None,
            Self::Capture { authorization } => Some((Settlement::Capture, authorization)),
            Self::Void { authorization } => Some((Settlement::Void, authorization)),
            Self::Refund { authorization } => Some((Settlement::Refund, authorization)),
        }
    }
}

/// What a call came to, final for its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Done { id: Option<String> },
    Declined { code: String, message: String },
    Invalid { reason: String },
}

impl Outcome {
    pub(super) fn into_result(self) -> Result<Option<String>, Error> {
        match self {
            Self::Done { id } => Ok(id),
            Self::Declined { code, message } => Err(Error::Declined(Decline { code, message })),
            Self::Invalid { reason } => Err(Error::Invalid(reason)),
        }
    }

    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into() }
    }

    /// A key has come with what it did not have before.
    pub(super) fn other_arguments() -> Self {
        Self::invalid("the key was used with other arguments")
    }
}

/// Why a call has no outcome.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the ledger is unavailable: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the ledger holds what it cannot read: {0}")]
    Damaged(#[from] serde_json::Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.to_string())
    }
}

/// A provider by what it does with one call, whatever that asks for.
#[async_trait]
pub(super) trait Perform: Clone + Send + Sync + 'static {
    /// Makes the call, and returns the id of an authorization that was made.
    async fn perform(&self, key: &str, operation: Operation) -> Result<Option<String>, Error>;

    /// The authorizations, newest first.
    async fn newest(&self, limit_rows: u32) -> Result<Vec<LedgerEntry>, Error>;
}

/// Makes the call in a task of its own, so that it is done once it was begun.
async fn call(provider: &impl Perform, key: &str, operation: Operation) -> Result<Option<String>, Error> {
    let (provider, key) = (provider.clone(), key.to_owned());
    match tokio::spawn(async move { provider.perform(&key, operation).await }).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::Unavailable("the host is stopping".to_owned())),
    }
}

#[async_trait]
impl<P: Perform> Provider for P {
    async fn authorize(&self, key: &str, amount: &Money, token: &str) -> Result<String, Error> {
        let operation =
            Operation::Authorize { amount: amount.amount, currency: amount.currency.clone(), token: token.to_owned() };
        let id = call(self, key, operation).await?;
        id.ok_or_else(|| Error::Unavailable("the ledger has an authorization without an id".to_owned()))
    }

    async fn capture(&self, key: &str, authorization: &str) -> Result<(), Error> {
        let authorization = authorization.to_owned();
        call(self, key, Operation::Capture { authorization }).await.map(drop)
    }

    async fn void(&self, key: &str, authorization: &str) -> Result<(), Error> {
        let authorization = authorization.to_owned();
        call(self, key, Operation::Void { authorization }).await.map(drop)
    }

    async fn refund(&self, key: &str, authorization: &str) -> Result<(), Error> {
        let authorization = authorization.to_owned();
        call(self, key, Operation::Refund { authorization }).await.map(drop)
    }

    async fn ledger(&self, limit_rows: u32) -> Result<Vec<LedgerEntry>, Error> {
        self.newest(limit_rows).await
    }
}

/// The table of authorizations. Each provider has one of its own, under its
/// name: money that is played with and money that is not never meet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authorizations {
    pub(super) table: &'static str,
}

/// An authorization at its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made<'a> {
    pub(super) id: &'a str,
    pub(super) key: &'a str,
    pub(super) currency: &'a str,
    pub(super) amount: i64,
}

impl Authorizations {
    /// Adds one, unless it is there.
    pub(super) async fn add(&self, connection: &mut AnyConnection, made: Made<'_>, now_ms: i64) -> sqlx::Result<()> {
        let table = self.table;
        let sql = format!(
            "INSERT INTO {table} (id, key, currency, amount, state, created_ms, updated_ms)
             VALUES ($1, $2, $3, $4, 'authorized', $5, $5) ON CONFLICT (id) DO NOTHING"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(made.id)
            .bind(made.key)
            .bind(made.currency)
            .bind(made.amount)
            .bind(now_ms)
            .execute(connection)
            .await
            .map(drop)
    }

    /// Takes a step; false if the state does not allow it.
    pub(super) async fn settle(
        &self,
        connection: &mut AnyConnection,
        settlement: Settlement,
        id: &str,
        now_ms: i64,
    ) -> sqlx::Result<bool> {
        let (change, from) = match settlement {
            Settlement::Capture => ("state = 'captured', captured = amount", "authorized"),
            Settlement::Void => ("state = 'voided'", "authorized"),
            Settlement::Refund => ("state = 'refunded', refunded = captured", "captured"),
        };
        let table = self.table;
        let sql = format!("UPDATE {table} SET {change}, updated_ms = $2 WHERE id = $1 AND state = '{from}'");
        let changed = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(now_ms).execute(connection).await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Where one stands; none if it is not there.
    pub(super) async fn state(&self, connection: &mut AnyConnection, id: &str) -> sqlx::Result<Option<String>> {
        let sql = format!("SELECT state FROM {} WHERE id = $1", self.table);
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(id).fetch_optional(connection).await
    }

    /// The newest first.
    pub(super) async fn newest(&self, pool: &AnyPool, limit_rows: u32) -> Result<Vec<LedgerEntry>, Failure> {
        type Row = (String, String, String, String, i64, i64, i64, i64, i64);
        let sql = format!(
            "SELECT id, key, currency, state, amount, captured, refunded, created_ms, updated_ms
             FROM {} ORDER BY sequence DESC LIMIT $1",
            self.table
        );
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(sql)).bind(i64::from(limit_rows)).fetch_all(pool).await?;
        let entries = rows.into_iter().map(|row| {
            let (authorization, key, currency, state, amount, captured, refunded, created, updated) = row;
            Ok(LedgerEntry {
                authorization,
                key,
                currency,
                state: state_named(&state)?,
                amount: amount.unsigned_abs(),
                captured: captured.unsigned_abs(),
                refunded: refunded.unsigned_abs(),
                created_ms: created.unsigned_abs(),
                updated_ms: updated.unsigned_abs(),
            })
        });
        entries.collect()
    }
}

fn state_named(name: &str) -> Result<LedgerState, Failure> {
    Ok(serde_json::from_value(serde_json::Value::from(name))?)
}
