//! The host's record of the calls to Stripe. It keeps each call with its outcome, and
//! the known facts about each call that has no outcome yet, without a time limit.
//!
//! The host records a call before it sends a request to Stripe, and records the outcome
//! before it returns it to the component. It stores only a digest of the arguments, so
//! the record contains no token of a card.

use super::super::{
    authorizations::{Authorizations, NewAuthorization, create_authorizations},
    operation::{LedgerError, Operation, Outcome, Settlement},
};
use host_base::clock;
use host_database::HostDatabase;
use sha2::{Digest, Sha256};
use sqlx::{Any, AnyConnection, Transaction};

const MODULE: &str = "stripe_payments";

const SCHEMA: &[&str] = &[concat!(
    "
CREATE TABLE stripe_calls (
    key TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    intent TEXT,
    tries INTEGER NOT NULL DEFAULT 0,
    outcome TEXT,
    begun_ms INTEGER NOT NULL
) STRICT;
",
    create_authorizations!("stripe_authorizations", "NOT NULL")
)];

const AUTHORIZATIONS: Authorizations = Authorizations { table: "stripe_authorizations" };

/// The state of a call in the record.
#[derive(Debug)]
pub(super) enum CallState {
    Finished(Outcome),
    Pending(PendingCall),
}

/// A call that has no outcome yet.
#[derive(Debug)]
pub(super) struct PendingCall {
    /// The payment that was created for the call, if the call authorizes.
    pub(super) intent: Option<String>,
    /// How many attempts Stripe answered with an error that it repeats.
    pub(super) failed_attempts: i64,
    /// Whether the call was made before.
    pub(super) is_repeated: bool,
}

#[derive(Debug, Clone)]
pub(super) struct CallLog {
    database: HostDatabase,
}

impl CallLog {
    pub(super) async fn open(database: HostDatabase) -> sqlx::Result<Self> {
        database.ensure_schema(MODULE, SCHEMA).await?;
        Ok(Self { database })
    }

    /// Begins a transaction that excludes other transactions with the same key.
    async fn transaction(&self, key: &str) -> sqlx::Result<Transaction<'static, Any>> {
        self.database.begin(&format!("{MODULE} {key}")).await
    }

    /// Returns the state of a call. Records the call if it is new.
    pub(super) async fn begin(&self, key: &str, operation: &Operation) -> Result<CallState, LedgerError> {
        self.database.unless_silent(self.find_or_record(key, operation)).await
    }

    async fn find_or_record(&self, key: &str, operation: &Operation) -> Result<CallState, LedgerError> {
        type Row = (String, Option<String>, i64, Option<String>);
        let digest = hex::encode(Sha256::digest(serde_json::to_vec(operation)?));
        let mut transaction = self.transaction(key).await?;
        let known: Option<Row> =
            sqlx::query_as("SELECT digest, intent, tries, outcome FROM stripe_calls WHERE key = $1")
                .bind(key)
                .fetch_optional(&mut *transaction)
                .await?;
        if let Some((recorded, intent, failed_attempts, outcome)) = known {
            return Ok(match outcome {
                _ if recorded != digest => CallState::Finished(Outcome::other_arguments()),
                Some(outcome) => CallState::Finished(serde_json::from_str(&outcome)?),
                None => CallState::Pending(PendingCall { intent, failed_attempts, is_repeated: true }),
            });
        }
        sqlx::query("INSERT INTO stripe_calls (key, digest, begun_ms) VALUES ($1, $2, $3)")
            .bind(key)
            .bind(digest)
            .bind(clock::now_ms().cast_signed())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(CallState::Pending(PendingCall { intent: None, failed_attempts: 0, is_repeated: false }))
    }

    /// Records the payment that was created for a call, unless another host was first.
    /// Returns the recorded payment.
    pub(super) async fn record_intent(&self, key: &str, intent: &str) -> Result<String, LedgerError> {
        sqlx::query("UPDATE stripe_calls SET intent = $2 WHERE key = $1 AND intent IS NULL")
            .bind(key)
            .bind(intent)
            .execute(&self.database.write)
            .await?;
        let recorded = sqlx::query_scalar("SELECT intent FROM stripe_calls WHERE key = $1");
        Ok(recorded.bind(key).fetch_one(&self.database.write).await?)
    }

    /// Counts a failed attempt, so that the next one has another idempotency key.
    pub(super) async fn record_failed_attempt(&self, key: &str, failed_before: i64) -> Result<(), LedgerError> {
        sqlx::query("UPDATE stripe_calls SET tries = tries + 1 WHERE key = $1 AND tries = $2")
            .bind(key)
            .bind(failed_before)
            .execute(&self.database.write)
            .await?;
        Ok(())
    }

    /// Records the outcome of a call, unless one is recorded already. Returns the
    /// recorded outcome.
    pub(super) async fn finish(
        &self,
        key: &str,
        operation: &Operation,
        outcome: &Outcome,
    ) -> Result<Outcome, LedgerError> {
        self.database.unless_silent(self.record_outcome(key, operation, outcome)).await
    }

    async fn record_outcome(
        &self,
        key: &str,
        operation: &Operation,
        outcome: &Outcome,
    ) -> Result<Outcome, LedgerError> {
        let mut transaction = self.transaction(key).await?;
        let changed = sqlx::query("UPDATE stripe_calls SET outcome = $2 WHERE key = $1 AND outcome IS NULL")
            .bind(key)
            .bind(serde_json::to_string(outcome)?)
            .execute(&mut *transaction)
            .await?;
        if changed.rows_affected() == 0 {
            let known: String = sqlx::query_scalar("SELECT outcome FROM stripe_calls WHERE key = $1")
                .bind(key)
                .fetch_one(&mut *transaction)
                .await?;
            return Ok(serde_json::from_str(&known)?);
        }
        if let Outcome::Done { id } = outcome {
            update_authorizations(&mut transaction, key, operation, id.as_deref()).await?;
        }
        transaction.commit().await?;
        Ok(outcome.clone())
    }

    /// Whether a recorded call created this authorization.
    pub(super) async fn has_authorization(&self, id: &str) -> Result<bool, LedgerError> {
        let mut connection = self.database.read.acquire().await?;
        Ok(AUTHORIZATIONS.state(&mut connection, id).await?.is_some())
    }

    /// Adds an authorization that the record has lost.
    pub(super) async fn restore_authorization(
        &self,
        authorization: NewAuthorization<'_>,
        is_captured: bool,
    ) -> Result<(), LedgerError> {
        let now_ms = clock::now_ms().cast_signed();
        let mut transaction = self.transaction(authorization.key).await?;
        AUTHORIZATIONS.add(&mut transaction, authorization, now_ms).await?;
        if is_captured {
            AUTHORIZATIONS.settle(&mut transaction, Settlement::Capture, authorization.id, now_ms).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Applies a finished operation to the table of authorizations.
async fn update_authorizations(
    connection: &mut AnyConnection,
    key: &str,
    operation: &Operation,
    id: Option<&str>,
) -> Result<(), LedgerError> {
    let now_ms = clock::now_ms().cast_signed();
    if let Operation::Authorize { amount, currency, .. } = operation {
        let (id, amount) = (id.unwrap_or_default(), amount.cast_signed());
        AUTHORIZATIONS.add(connection, NewAuthorization { id, key, currency, amount }, now_ms).await?;
    }
    if let Some((settlement, authorization)) = operation.settlement() {
        AUTHORIZATIONS.settle(connection, settlement, authorization, now_ms).await?;
    }
    Ok(())
}
