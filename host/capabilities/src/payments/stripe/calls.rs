//! The host's own record: each call with its outcome, for ever, and what is
//! known of those whose outcome is not.
//!
//! A call is written down before Stripe hears of it, and its outcome before
//! the component does. Of the call's arguments a digest is kept, so no token
//! of a card lies here.

use super::super::{
    Error, LedgerEntry, Settlement,
    record::{Authorizations, Failure, Made, Operation, Outcome},
};
use host_base::clock;
use host_database::HostDatabase;
use sha2::{Digest, Sha256};
use sqlx::{Any, AnyConnection, Transaction};

const MODULE: &str = "stripe_payments";

const SCHEMA: &[&str] = &["
CREATE TABLE stripe_calls (
    key TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    intent TEXT,
    tries INTEGER NOT NULL DEFAULT 0,
    outcome TEXT,
    begun_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE stripe_authorizations (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    state TEXT NOT NULL CHECK (state IN ('authorized', 'captured', 'voided', 'refunded')),
    captured INTEGER NOT NULL DEFAULT 0 CHECK (captured IN (0, amount)),
    refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded IN (0, captured)),
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
"];

const AUTHORIZATIONS: Authorizations = Authorizations { table: "stripe_authorizations" };

/// What is known of a call when it is made.
#[derive(Debug)]
pub(super) enum Begun {
    /// What it came to.
    Known(Outcome),
    /// It has no outcome yet.
    Open(Open),
}

/// A call without an outcome.
#[derive(Debug)]
pub(super) struct Open {
    /// The payment that was made for it, if it authorizes.
    pub(super) intent: Option<String>,
    /// How often Stripe has answered with a failure of its own.
    pub(super) tries: i64,
    /// Whether it was begun before.
    pub(super) is_repeated: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Calls {
    database: HostDatabase,
}

impl Calls {
    pub(super) async fn open(database: HostDatabase) -> sqlx::Result<Self> {
        database.ensure(MODULE, SCHEMA).await?;
        Ok(Self { database })
    }

    /// A transaction beside which calls with other keys go on.
    async fn turn(&self, key: &str) -> sqlx::Result<Transaction<'static, Any>> {
        self.database.begin(&format!("{MODULE} {key}")).await
    }

    /// Looks a call up, or writes down that it is begun.
    pub(super) async fn begin(&self, key: &str, operation: &Operation) -> Result<Begun, Failure> {
        type Row = (String, Option<String>, i64, Option<String>);
        let digest = hex::encode(Sha256::digest(serde_json::to_vec(operation)?));
        let mut transaction = self.turn(key).await?;
        let known: Option<Row> =
            sqlx::query_as("SELECT digest, intent, tries, outcome FROM stripe_calls WHERE key = $1")
                .bind(key)
                .fetch_optional(&mut *transaction)
                .await?;
        if let Some((recorded, intent, tries, outcome)) = known {
            return Ok(match outcome {
                _ if recorded != digest => Begun::Known(Outcome::other_arguments()),
                Some(outcome) => Begun::Known(serde_json::from_str(&outcome)?),
                None => Begun::Open(Open { intent, tries, is_repeated: true }),
            });
        }
        sqlx::query("INSERT INTO stripe_calls (key, digest, begun_ms) VALUES ($1, $2, $3)")
            .bind(key)
            .bind(digest)
            .bind(clock::now_ms().cast_signed())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Begun::Open(Open { intent: None, tries: 0, is_repeated: false }))
    }

    /// Keeps the payment that was made for a call, unless another host was
    /// first. Returns the one that counts.
    pub(super) async fn keep_intent(&self, key: &str, intent: &str) -> Result<String, Failure> {
        sqlx::query("UPDATE stripe_calls SET intent = $2 WHERE key = $1 AND intent IS NULL")
            .bind(key)
            .bind(intent)
            .execute(&self.database.write)
            .await?;
        let kept = sqlx::query_scalar("SELECT intent FROM stripe_calls WHERE key = $1");
        Ok(kept.bind(key).fetch_one(&self.database.write).await?)
    }

    /// The next try has an idempotency key of its own.
    pub(super) async fn give_up_try(&self, key: &str, tries: i64) -> Result<(), Failure> {
        sqlx::query("UPDATE stripe_calls SET tries = tries + 1 WHERE key = $1 AND tries = $2")
            .bind(key)
            .bind(tries)
            .execute(&self.database.write)
            .await?;
        Ok(())
    }

    /// Keeps what a call came to, unless that is known. Returns what counts.
    pub(super) async fn finish(&self, key: &str, operation: &Operation, outcome: &Outcome) -> Result<Outcome, Failure> {
        let mut transaction = self.turn(key).await?;
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
            note(&mut transaction, key, operation, id.as_deref()).await?;
        }
        transaction.commit().await?;
        Ok(outcome.clone())
    }

    /// Whether a call has made this authorization.
    pub(super) async fn knows(&self, authorization: &str) -> Result<bool, Failure> {
        let mut connection = self.database.read.acquire().await.map_err(Failure::from)?;
        Ok(AUTHORIZATIONS.state(&mut connection, authorization).await?.is_some())
    }

    /// Adds an authorization that the record has lost.
    pub(super) async fn adopt(&self, made: Made<'_>, is_captured: bool) -> Result<(), Failure> {
        let now_ms = clock::now_ms().cast_signed();
        let mut transaction = self.turn(made.key).await?;
        AUTHORIZATIONS.add(&mut transaction, made, now_ms).await?;
        if is_captured {
            AUTHORIZATIONS.settle(&mut transaction, Settlement::Capture, made.id, now_ms).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The authorizations, newest first.
    pub(super) async fn newest(&self, limit_rows: u32) -> Result<Vec<LedgerEntry>, Error> {
        Ok(AUTHORIZATIONS.newest(&self.database.read, limit_rows).await?)
    }
}

/// Carries what was done over to the authorizations.
async fn note(
    connection: &mut AnyConnection,
    key: &str,
    operation: &Operation,
    id: Option<&str>,
) -> Result<(), Failure> {
    let now_ms = clock::now_ms().cast_signed();
    if let Operation::Authorize { amount, currency, .. } = operation {
        let (id, amount) = (id.unwrap_or_default(), amount.cast_signed());
        return Ok(AUTHORIZATIONS.add(connection, Made { id, key, currency, amount }, now_ms).await?);
    }
    if let Some((settlement, authorization)) = operation.settlement() {
        AUTHORIZATIONS.settle(connection, settlement, authorization, now_ms).await?;
    }
    Ok(())
}
