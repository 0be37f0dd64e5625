//! The migrations of a component's tables on SQLite.

use super::{SqliteDatabase, transaction::SqliteTransaction};
use crate::{
    DiskUse, Error, MigrationError, Migrations, Transaction, Value,
    migrations::{MigrationTransaction, apply_all},
    values::signed,
};
use async_trait::async_trait;
use host_base::{Dialect, clock::now_ms};
use host_sql::{Applied, Migration};

/// The tables of the component.
const OWN_TABLES: &str = "
    SELECT name FROM sqlite_schema
    WHERE type = 'table' AND name NOT LIKE 'host\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

/// Deletes the rows of the host's tables. Of the live events the last number stays,
/// because listeners wait for the one that follows.
const DELETE_ALL: [&str; 7] = [
    "DELETE FROM host_migrations",
    "DELETE FROM host_outbox",
    "DELETE FROM host_inbox",
    "DELETE FROM host_timers",
    "DELETE FROM host_requests",
    "DELETE FROM host_live WHERE sequence < (SELECT max(sequence) FROM host_live)",
    "UPDATE host_live SET channel = '', name = '', data = ''",
];

#[async_trait]
impl Migrations for SqliteDatabase {
    async fn migrate(&self, migrations: &[Migration]) -> Result<Vec<String>, MigrationError> {
        let applied = apply_all(Dialect::Sqlite, migrations, || self.begin_write()).await?;
        if !applied.is_empty() {
            self.forget_statements().await;
        }
        Ok(applied)
    }

    async fn applied(&self) -> Result<Vec<Applied>, Error> {
        let rows: Vec<(String, String)> =
            self.read_own("SELECT name, digest FROM host_migrations ORDER BY name", &[]).await?;
        Ok(rows.into_iter().map(|(name, digest)| Applied { name, digest }).collect())
    }

    async fn empty(&self) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        transaction.drop_tables().await?;
        Box::new(transaction).commit().await?;
        self.forget_statements().await;
        self.measure().await.map(drop)
    }
}

impl SqliteDatabase {
    /// A statement that was prepared before has the columns of the earlier schema.
    async fn forget_statements(&self) {
        self.shared.writer.clear_prepared_statements().await;
        self.readers.replace_all();
    }
}

impl SqliteTransaction {
    /// Drops the tables of the component, and deletes all rows of the host's tables.
    async fn drop_tables(&mut self) -> Result<(), Error> {
        // References between tables are checked after the last one is dropped.
        self.change_schema(&"PRAGMA defer_foreign_keys = ON".into()).await?;
        for row in self.read_own(OWN_TABLES, Vec::new()).await?.rows {
            if let [Value::Text(name)] = &row[..] {
                let name = name.replace('"', "\"\"");
                self.change_schema(&format!("DROP TABLE \"{name}\"").into()).await?;
            }
        }
        for delete in DELETE_ALL {
            self.run_large_own(delete, Vec::new()).await?;
        }
        self.change_schema(&"PRAGMA defer_foreign_keys = OFF".into()).await
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
