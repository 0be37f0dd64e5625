//! The ledger: each call with its outcome, each authorization with its state.
//!
//! A call is looked up, decided and recorded in one transaction, and its key
//! is the primary key of the table, so it takes effect once however often and
//! from wherever it arrives.

use super::{
    super::{
        Error, LedgerEntry, Settlement,
        record::{Authorizations, Failure, Made, Operation, Outcome},
    },
    tokens::{self, Verdict},
};
use host_base::clock;
use host_database::HostDatabase;
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

const AUTHORIZATIONS: Authorizations = Authorizations { table: "authorizations" };

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
                false => Ok(Outcome::other_arguments()),
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
        Ok(AUTHORIZATIONS.newest(&self.database.read, limit_rows).await?)
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
        Operation::Capture { authorization } => settle(transaction, Settlement::Capture, authorization, now_ms).await,
        Operation::Void { authorization } => settle(transaction, Settlement::Void, authorization, now_ms).await,
        Operation::Refund { authorization } => settle(transaction, Settlement::Refund, authorization, now_ms).await,
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
    AUTHORIZATIONS.add(transaction, Made { id: &id, key, currency, amount }, now_ms).await?;
    Ok(Outcome::Done { id: Some(id) })
}

async fn settle(
    transaction: &mut AnyConnection,
    settlement: Settlement,
    authorization: &str,
    now_ms: i64,
) -> Result<Outcome, Failure> {
    if AUTHORIZATIONS.settle(&mut *transaction, settlement, authorization, now_ms).await? {
        return Ok(Outcome::Done { id: None });
    }
    Ok(match AUTHORIZATIONS.state(transaction, authorization).await? {
        Some(state) => Outcome::invalid(format!("the authorization is {state}")),
        None => Outcome::invalid("no such authorization"),
    })
}
