//! How the tables of each module are created and changed.

use super::HostDatabase;
use sqlx::AssertSqlSafe;

impl HostDatabase {
    /// Brings the tables of one module up to date. It runs the steps that this
    /// database does not have yet, each in a transaction of its own.
    ///
    /// A step can have several statements, and it must never change. A change of
    /// the tables is a new step. Steps are written for SQLite and translated for
    /// PostgreSQL ([`host_base::Dialect::translate`]).
    ///
    /// # Errors
    /// If a step fails. The steps before it stay applied.
    pub async fn ensure_schema(&self, module: &str, steps: &'static [&'static str]) -> sqlx::Result<()> {
        loop {
            let mut transaction = self.begin("schema").await?;
            let applied: Option<i64> = sqlx::query_scalar("SELECT taken FROM schema_steps WHERE module = $1")
                .bind(module)
                .fetch_optional(&mut *transaction)
                .await?;
            let applied = applied.unwrap_or(0);
            let Some(step) = usize::try_from(applied).ok().and_then(|applied| steps.get(applied)) else {
                return transaction.rollback().await;
            };
            sqlx::raw_sql(AssertSqlSafe(self.dialect.translate(step))).execute(&mut *transaction).await?;
            sqlx::query(
                "INSERT INTO schema_steps (module, taken) VALUES ($1, $2) \
                 ON CONFLICT (module) DO UPDATE SET taken = excluded.taken",
            )
            .bind(module)
            .bind(applied + 1)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
        }
    }

    /// Creates the table with the number of applied steps for each module.
    pub(super) async fn create_schema_steps(&self) -> sqlx::Result<()> {
        let sql = self.dialect.translate(
            "CREATE TABLE IF NOT EXISTS schema_steps (module TEXT PRIMARY KEY, taken INTEGER NOT NULL) STRICT",
        );
        let mut transaction = self.begin("schema").await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        transaction.commit().await
    }
}
