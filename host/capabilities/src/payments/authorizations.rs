//! The table of authorizations. Each provider has its own table, so that simulated
//! and real money are never in one table.

use super::operation::Settlement;
use sqlx::{AnyConnection, AssertSqlSafe};

/// The SQL that creates a table of authorizations. `$key` are the constraints on
/// the column `key`.
macro_rules! create_authorizations {
    ($table:literal, $key:literal) => {
        concat!(
            "CREATE TABLE ",
            $table,
            " (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key TEXT ",
            $key,
            ",
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    state TEXT NOT NULL CHECK (state IN ('authorized', 'captured', 'voided', 'refunded')),
    captured INTEGER NOT NULL DEFAULT 0 CHECK (captured IN (0, amount)),
    refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded IN (0, captured)),
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
"
        )
    };
}
pub(super) use create_authorizations;

/// A table of authorizations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authorizations {
    pub(super) table: &'static str,
}

/// A new authorization.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewAuthorization<'a> {
    pub(super) id: &'a str,
    pub(super) key: &'a str,
    pub(super) currency: &'a str,
    pub(super) amount: i64,
}

impl Authorizations {
    /// Adds an authorization, unless it exists already.
    pub(super) async fn add(
        &self,
        connection: &mut AnyConnection,
        new: NewAuthorization<'_>,
        now_ms: i64,
    ) -> sqlx::Result<()> {
        let table = self.table;
        let sql = format!(
            "INSERT INTO {table} (id, key, currency, amount, state, created_ms, updated_ms)
             VALUES ($1, $2, $3, $4, 'authorized', $5, $5) ON CONFLICT (id) DO NOTHING"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(new.id)
            .bind(new.key)
            .bind(new.currency)
            .bind(new.amount)
            .bind(now_ms)
            .execute(connection)
            .await
            .map(drop)
    }

    /// Settles an authorization. Returns `false` if its state does not allow it.
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

    /// The state of an authorization. `None` if it does not exist.
    pub(super) async fn state(&self, connection: &mut AnyConnection, id: &str) -> sqlx::Result<Option<String>> {
        let sql = format!("SELECT state FROM {} WHERE id = $1", self.table);
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(id).fetch_optional(connection).await
    }
}
