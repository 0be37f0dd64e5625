//! The migrations of a component's tables on SQLite.

use super::{SqliteDatabase, transaction::SqliteTransaction};
use crate::{
    Error, MigrationError, Migrations, Value,
    migrations::{MigrationTransaction, apply_all},
    values::signed,
};
use async_trait::async_trait;
use host_base::{Dialect, clock::now_ms};
use host_sql::{Applied, Migration};

#[async_trait]
impl Migrations for SqliteDatabase {
    async fn migrate(&self, migrations: &[Migration]) -> Result<Vec<String>, MigrationError> {
        let applied = apply_all(Dialect::Sqlite, migrations, || self.begin_write()).await?;
        if !applied.is_empty() {
            // A statement that was prepared before has the columns of the
            // earlier schema.
            self.shared.writer.clear_prepared_statements().await;
            self.readers.replace_all();
        }
        Ok(applied)
    }

    async fn applied(&self) -> Result<Vec<Applied>, Error> {
        let rows: Vec<(String, String)> =
            self.read_own("SELECT name, digest FROM host_migrations ORDER BY name", &[]).await?;
        Ok(rows.into_iter().map(|(name, digest)| Applied { name, digest }).collect())
    }
}

#[async_trait]
impl MigrationTransaction for SqliteTransaction {
    async fn applied_digest(&mut self, name: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT digest FROM host_migrations WHERE name = $1";
        let found = self.read_own(sql, vec![Value::Text(name.to_owned())]).await?;
        Ok(found.rows.into_iter().flatten().find_map(|digest| match digest {
            Value::Text(digest) => Some(digest),
            _ => None,
        }))
    }

    async fn run_statements(&mut self, statements: Vec<String>) -> Result<(), Error> {
        for statement in statements {
            self.change_schema(&statement.into()).await?;
        }
        Ok(())
    }

    async fn record(&mut self, name: &str, digest: String) -> Result<(), Error> {
        let values = vec![Value::Text(name.to_owned()), Value::Text(digest), Value::Integer(signed(now_ms()))];
        self.run_own("INSERT INTO host_migrations (name, digest, at_ms) VALUES ($1, $2, $3)", values).await.map(drop)
    }
}
