//! The migrations of a component's tables on PostgreSQL.

use super::{PostgresDatabase, accounts, errors::Failure, transaction::PostgresTransaction};
use crate::{
    DiskUse, Error, MigrationError, Migrations, Value,
    migrations::{MigrationTransaction, apply_all},
    values::signed,
};
use async_trait::async_trait;
use host_base::{Dialect, clock::now_ms};
use host_sql::{Applied, Migration};

#[async_trait]
impl Migrations for PostgresDatabase {
    async fn migrate(&self, migrations: &[Migration]) -> Result<Vec<String>, MigrationError> {
        apply_all(Dialect::Postgres, migrations, || self.begin_write()).await
    }

    async fn applied(&self) -> Result<Vec<Applied>, Error> {
        let sql = "SELECT name, digest FROM store_migrations WHERE component = $1 ORDER BY name COLLATE \"C\"";
        let rows: Vec<(String, String)> =
            sqlx::query_as(sql).bind(&self.shared.component).fetch_all(&self.host).await.map_err(Failure::error_of)?;
        Ok(rows.into_iter().map(|(name, digest)| Applied { name, digest }).collect())
    }

    async fn empty(&self) -> Result<(), Error> {
        accounts::empty(&self.host, &self.shared.component).await.map_err(Failure::error_of)?;
        self.measure().await.map(drop)
    }
}

#[async_trait]
impl MigrationTransaction for PostgresTransaction {
    async fn applied_digest(&mut self, name: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT ticketing_host.store_migration($1, $2)";
        let (digest,) = self.call_function(sql, vec![Value::Text(name.to_owned())]).await?;
        Ok(digest)
    }

    async fn run_statements(&mut self, statements: Vec<String>) -> Result<(), Error> {
        let limit_ms = self.limits().migration_statement_ms;
        self.run_own(format!("SET LOCAL statement_timeout = {limit_ms}; SET LOCAL lock_timeout = {limit_ms}")).await?;
        for statement in statements {
            self.run_own(statement).await?;
        }
        Ok(())
    }

    async fn record(&mut self, name: &str, digest: String) -> Result<(), Error> {
        let sql = "SELECT ticketing_host.store_note_migration($1, $2, $3, $4)";
        let values = vec![Value::Text(name.to_owned()), Value::Text(digest), Value::Integer(signed(now_ms()))];
        self.call_function::<(bool,)>(sql, values).await.map(drop)
    }
}
