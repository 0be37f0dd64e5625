//! The ledger: each call with its outcome, each authorization with its state.
//!
//! A call is looked up, decided and recorded in one transaction, and its key
//! is the primary key of the table, so it takes effect once however often and
//! from wherever it arrives.

use super::{
    super::{Error, LedgerEntry, LedgerState},
    tokens::{self, Verdict},
};
use crate::{clock, database::HostDatabase};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use uuid::Uuid;

const SCHEMA: &[&str] = &["
CREATE TABLE calls (
    key TEXT PRIMARY KEY,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    made_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE failed_on_request (key TEXT PRIMARY KEY) STRICT;
CREATE TABLE authorizations (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL UNIQUE,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    state TEXT NOT NULL CHECK (state IN ('authorized', 'captured', 'voided', 'refunded')),
    captured INTEGER NOT NULL DEFAULT 0 CHECK (captured IN (0, amount)),
    refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded IN (0, captured)),
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
"];

/// A call, with everything that makes it the same call again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Operation {
    Authorize { amount: u64, currency: String, token: String },
    Capture { authorization: String },
    Void { authorization: String },
    Refund { authorization: String },
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
            Self::Declined { code, message } => Err(Error::Declined(tokens::decline(&code, &message))),
            Self::Invalid { reason } => Err(Error::Invalid(reason)),
        }
    }

    fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into() }
    }
}

/// Why a call has no outcome.
#[derive(Debug, thiserror::Error)]
enum Failure {
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

#[derive(Debug, Clone)]
pub(super) struct Ledger {
    database: HostDatabase,
}

impl Ledger {
    pub(super) async fn open(database: HostDatabase) -> sqlx::Result<Self> {
        database.ensure("simulated_payments", SCHEMA).await?;
        Ok(Self { database })
    }

    /// Does what the call asks for, unless it was done before, and returns
    /// what it came to.
    pub(super) async fn record(&self, key: &str, operation: &Operation) -> Result<Outcome, Error> {
        Ok(self.record_once(key, operation).await?)
    }

    async fn record_once(&self, key: &str, operation: &Operation) -> Result<Outcome, Failure> {
        // Calls with other keys go on beside it.
        let mut transaction = self.database.begin(&format!("simulated_payments {key}")).await?;
        let known: Option<(String, String)> = sqlx::query_as("SELECT operation, outcome FROM calls WHERE key = $1")
            .bind(key)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some((recorded, outcome)) = known {
            return match serde_json::from_str::<Operation>(&recorded)? == *operation {
                true => Ok(serde_json::from_str(&outcome)?),
                false => Ok(Outcome::invalid("the key was used with other arguments")),
            };
        }
        let now_ms = clock::now_ms().cast_signed();
        let outcome = apply(&mut transaction, key, operation, now_ms).await?;
        sqlx::query("INSERT INTO calls (key, operation, outcome, made_ms) VALUES ($1, $2, $3, $4)")
            .bind(key)
            .bind(serde_json::to_string(operation)?)
            .bind(serde_json::to_string(&outcome)?)
            .bind(now_ms)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(outcome)
    }

    /// Whether the key was seen before, be it in a call that failed on
    /// request.
    pub(super) async fn is_known(&self, key: &str) -> Result<bool, Error> {
        let known: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM calls WHERE key = $1)
                  + (SELECT count(*) FROM failed_on_request WHERE key = $1)",
        )
        .bind(key)
        .fetch_one(&self.database.write)
        .await
        .map_err(Failure::from)?;
        Ok(known > 0)
    }

    /// Remembers that a call with this key has failed on request.
    pub(super) async fn remember(&self, key: &str) -> Result<(), Error> {
        sqlx::query("INSERT INTO failed_on_request (key) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(key)
            .execute(&self.database.write)
            .await
            .map_err(Failure::from)?;
        Ok(())
    }

    /// The authorizations, newest first.
    pub(super) async fn entries(&self, limit_rows: u32) -> Result<Vec<LedgerEntry>, Error> {
        type Row = (String, String, String, String, i64, i64, i64, i64, i64);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, key, currency, state, amount, captured, refunded, created_ms, updated_ms
             FROM authorizations ORDER BY sequence DESC LIMIT $1",
        )
        .bind(i64::from(limit_rows))
        .fetch_all(&self.database.read)
        .await
        .map_err(Failure::from)?;
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
        entries.collect::<Result<_, Failure>>().map_err(Error::from)
    }
}

async fn apply(
    transaction: &mut AnyConnection,
    key: &str,
    operation: &Operation,
    now_ms: i64,
) -> Result<Outcome, Failure> {
    match operation {
        Operation::Authorize { amount, currency, token } => match tokens::verdict(token) {
            Verdict::Approved => authorize(transaction, key, *amount, currency, now_ms).await,
            Verdict::Declined { code, message } => {
                Ok(Outcome::Declined { code: code.to_owned(), message: message.to_owned() })
            }
            Verdict::Unknown => Ok(Outcome::invalid("no such token")),
        },
        Operation::Capture { authorization } => {
            let change = "UPDATE authorizations SET state = 'captured', captured = amount, updated_ms = $2
                          WHERE id = $1 AND state = 'authorized'";
            settle(transaction, change, authorization, now_ms).await
        }
        Operation::Void { authorization } => {
            let change = "UPDATE authorizations SET state = 'voided', updated_ms = $2
                          WHERE id = $1 AND state = 'authorized'";
            settle(transaction, change, authorization, now_ms).await
        }
        Operation::Refund { authorization } => {
            let change = "UPDATE authorizations SET state = 'refunded', refunded = captured, updated_ms = $2
                          WHERE id = $1 AND state = 'captured'";
            settle(transaction, change, authorization, now_ms).await
        }
    }
}

async fn authorize(
    transaction: &mut AnyConnection,
    key: &str,
    amount: u64,
    currency: &str,
    now_ms: i64,
) -> Result<Outcome, Failure> {
    let Ok(amount) = i64::try_from(amount) else {
        return Ok(Outcome::invalid("the amount is too large"));
    };
    // Not to be guessed: whoever knows the id may settle the authorization.
    let id = format!("auth_{}", Uuid::new_v4().simple());
    sqlx::query(
        "INSERT INTO authorizations (id, key, currency, amount, state, created_ms, updated_ms)
         VALUES ($1, $2, $3, $4, 'authorized', $5, $5)",
    )
    .bind(&id)
    .bind(key)
    .bind(currency)
    .bind(amount)
    .bind(now_ms)
    .execute(transaction)
    .await?;
    Ok(Outcome::Done { id: Some(id) })
}

async fn settle(
    transaction: &mut AnyConnection,
    change: &'static str,
    authorization: &str,
    now_ms: i64,
) -> Result<Outcome, Failure> {
    let changed =
        sqlx::query(change).bind(authorization).bind(now_ms).execute(&mut *transaction).await?.rows_affected();
    if changed == 1 {
        return Ok(Outcome::Done { id: None });
    }
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM authorizations WHERE id = $1")
        .bind(authorization)
        .fetch_optional(transaction)
        .await?;
    Ok(match state {
        Some(state) => Outcome::invalid(format!("the authorization is {state}")),
        None => Outcome::invalid("no such authorization"),
    })
}

fn state_named(name: &str) -> Result<LedgerState, Failure> {
    Ok(serde_json::from_value(serde_json::Value::from(name))?)
}
