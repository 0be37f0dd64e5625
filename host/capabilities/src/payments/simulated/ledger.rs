//! The ledger of the simulated provider: each call with its outcome, and each
//! authorization with its state.
//!
//! One transaction looks a call up, decides it and records it, and the key of the
//! call is the primary key of the table. Therefore a call takes effect once, even if
//! it arrives several times and at several hosts.

use super::{
    super::{
        Error,
        authorizations::{Authorizations, NewAuthorization, create_authorizations},
        minimums::minimum,
        operation::{LedgerError, Operation, Outcome, Settlement},
    },
    test_cards::{self, CardDecision},
};
use host_base::clock;
use host_database::HostDatabase;
use sqlx::AnyConnection;
use uuid::Uuid;

const SCHEMA: &[&str] = &[concat!(
    "
CREATE TABLE calls (
    key TEXT PRIMARY KEY,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    made_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE failed_on_request (key TEXT PRIMARY KEY) STRICT;
",
    create_authorizations!("authorizations", "NOT NULL UNIQUE")
)];

const AUTHORIZATIONS: Authorizations = Authorizations { table: "authorizations" };

#[derive(Debug, Clone)]
pub(super) struct Ledger {
    database: HostDatabase,
}

impl Ledger {
    pub(super) async fn open(database: HostDatabase) -> sqlx::Result<Self> {
        database.ensure_schema("simulated_payments", SCHEMA).await?;
        Ok(Self { database })
    }

    /// Performs and records an operation, unless its key is known. Returns the outcome
    /// that is recorded for the key.
    pub(super) async fn record(&self, key: &str, operation: &Operation) -> Result<Outcome, Error> {
        Ok(self.database.unless_silent(self.record_once(key, operation)).await?)
    }

    async fn record_once(&self, key: &str, operation: &Operation) -> Result<Outcome, LedgerError> {
        // Calls with other keys run at the same time.
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

    /// Whether there was a call with this key before, including a call with an
    /// injected fault.
    pub(super) async fn is_known(&self, key: &str) -> Result<bool, Error> {
        let known: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM calls WHERE key = $1)
                  + (SELECT count(*) FROM failed_on_request WHERE key = $1)",
        )
        .bind(key)
        .fetch_one(&self.database.write)
        .await
        .map_err(LedgerError::from)?;
        Ok(known > 0)
    }

    /// Records that a call with this key had an injected fault.
    pub(super) async fn record_fault(&self, key: &str) -> Result<(), Error> {
        sqlx::query("INSERT INTO failed_on_request (key) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(key)
            .execute(&self.database.write)
            .await
            .map_err(LedgerError::from)?;
        Ok(())
    }
}

async fn apply(
    transaction: &mut AnyConnection,
    key: &str,
    operation: &Operation,
    now_ms: i64,
) -> Result<Outcome, LedgerError> {
    match operation {
        Operation::Authorize { amount, currency, .. } if *amount < minimum(currency) => {
            Ok(Outcome::invalid_amount(&format!("at least {} minor units of {currency}", minimum(currency))))
        }
        Operation::Authorize { amount, currency, token } => match test_cards::decide(token) {
            CardDecision::Approved => authorize(transaction, key, *amount, currency, now_ms).await,
            CardDecision::Declined { code, message } => {
                Ok(Outcome::Declined { code: code.to_owned(), message: message.to_owned() })
            }
            CardDecision::UnknownToken => Ok(Outcome::invalid("no such token")),
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
) -> Result<Outcome, LedgerError> {
    let Ok(amount) = i64::try_from(amount) else {
        return Ok(Outcome::invalid("the amount is too large"));
    };
    // A random identifier: everyone who knows it can settle the authorization.
    let id = format!("auth_{}", Uuid::new_v4().simple());
    AUTHORIZATIONS.add(transaction, NewAuthorization { id: &id, key, currency, amount }, now_ms).await?;
    Ok(Outcome::Done { id: Some(id) })
}

async fn settle(
    transaction: &mut AnyConnection,
    settlement: Settlement,
    authorization: &str,
    now_ms: i64,
) -> Result<Outcome, LedgerError> {
    if AUTHORIZATIONS.settle(&mut *transaction, settlement, authorization, now_ms).await? {
        return Ok(Outcome::Done { id: None });
    }
    Ok(match AUTHORIZATIONS.state(transaction, authorization).await? {
        Some(state) => Outcome::invalid(format!("the authorization is {state}")),
        None => Outcome::invalid("no such authorization"),
    })
}
