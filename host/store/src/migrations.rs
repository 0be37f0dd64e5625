//! The migrations of a component's tables.

use super::{Error, Transaction, describe};
use async_trait::async_trait;
use host_base::Dialect;
use host_sql::{Applied, Migration};

/// Changes the tables of a component.
#[async_trait]
pub trait Migrations: Send + Sync + 'static {
    /// Applies the migrations that were not applied before, in the given
    /// sequence, each in its own transaction. Returns the names of those.
    ///
    /// # Errors
    /// An applied migration has changed since, or a statement failed.
    async fn migrate(&self, migrations: &[Migration]) -> Result<Vec<String>, MigrationError>;

    /// Returns all migrations that were applied by any revision, sorted by
    /// name.
    async fn applied(&self) -> Result<Vec<Applied>, Error>;

    /// Deletes everything that the component has stored, in one transaction: its
    /// tables, the record of its migrations, its timers, the events that are not
    /// sent, and its memory of events and keyed requests. Then all migrations
    /// can run again. A file of SQLite keeps its size: new rows use its free pages.
    /// The numbers of live events go on, because listeners may wait for the next.
    async fn empty(&self) -> Result<(), Error>;
}

/// Why a component's database could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The component carries another text for an applied migration.
    #[error("migration {0} has changed since it was applied")]
    Changed(String),
    /// A statement is not allowed, or the database refused it.
    #[error("migration {name}: {reason}")]
    Failed {
        /// The migration's name.
        name: String,
        /// The error of the gate or of the database.
        reason: String,
    },
}

/// A transaction that can apply a migration.
#[async_trait]
pub(crate) trait MigrationTransaction: Transaction + Sized {
    /// The digest under which a migration was applied. None if it was not.
    async fn applied_digest(&mut self, name: &str) -> Result<Option<String>, Error>;

    /// Runs the statements of a migration, which may take longer than others.
    async fn run_statements(&mut self, statements: Vec<String>) -> Result<(), Error>;

    /// Records that a migration was applied.
    async fn record(&mut self, name: &str, digest: String) -> Result<(), Error>;
}

/// Applies migrations as [`Migrations::migrate`] says. `begin` begins a
/// transaction that writes.
pub(crate) async fn apply_all<T, F>(
    dialect: Dialect,
    migrations: &[Migration],
    begin: impl Fn() -> F,
) -> Result<Vec<String>, MigrationError>
where
    T: MigrationTransaction,
    F: Future<Output = Result<T, Error>>,
{
    let mut applied = Vec::new();
    for migration in migrations {
        let statements = permitted(migration, dialect).await?;
        let failed = |error| MigrationError::Failed { name: migration.name.clone(), reason: describe(&error) };
        let mut transaction = begin().await.map_err(failed)?;
        match transaction.applied_digest(&migration.name).await.map_err(failed)? {
            None => {
                apply(&mut transaction, migration, statements).await.map_err(failed)?;
                Box::new(transaction).commit().await.map_err(failed)?;
                applied.push(migration.name.clone());
            }
            Some(digest) if digest == migration.digest() => Box::new(transaction).rollback().await,
            Some(_) => return Err(MigrationError::Changed(migration.name.clone())),
        }
    }
    Ok(applied)
}

async fn apply(
    transaction: &mut impl MigrationTransaction,
    migration: &Migration,
    statements: Vec<String>,
) -> Result<(), Error> {
    transaction.run_statements(statements).await?;
    transaction.record(&migration.name, migration.digest()).await
}

/// Splits a migration into statements for an engine. The gate must let each of
/// them through.
async fn permitted(migration: &Migration, dialect: Dialect) -> Result<Vec<String>, MigrationError> {
    let failed = |reason| MigrationError::Failed { name: migration.name.clone(), reason };
    let sql = migration.sql.clone();
    tokio::task::spawn_blocking(move || host_sql::permit_migration(dialect, &sql))
        .await
        .map_err(|_| failed("it cannot be parsed".to_owned()))?
        .map_err(failed)
}
