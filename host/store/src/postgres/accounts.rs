//! The account of a component in the database: a login role and a schema. The
//! role has rights in its own schema and nowhere else. The first host that loads
//! the component creates the account.

use crate::Error;
use host_database::{HostDatabase, lock_key};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Executor, PgConnection, PgPool};

/// The longest name in PostgreSQL.
const NAME_BYTES: usize = 63;

/// The account of one component.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) role: String,
    pub(super) password: String,
    /// The name of the schema, in quotes.
    pub(super) schema: String,
    /// The secret that the host's functions require.
    pub(super) secret: String,
}

/// Creates the host's tables for components. Takes the right to create temporary
/// tables from all roles.
pub(super) async fn prepare(host: &HostDatabase, pool: &PgPool) -> sqlx::Result<()> {
    host.ensure_schema("store", super::host_tables::STEPS).await?;
    let database: String = sqlx::query_scalar("SELECT quote_ident(current_database())").fetch_one(pool).await?;
    let mut transaction = begin_locked(pool).await?;
    // The text contains nothing but the quoted name.
    transaction.execute(AssertSqlSafe(format!("REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"))).await?;
    transaction.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC").await?;
    transaction.commit().await
}

/// Returns a component's account, and creates it if it does not exist.
pub(super) async fn find_or_create(pool: &PgPool, component: &str) -> Result<Account, Error> {
    try_find_or_create(pool, component)
        .await
        .map_err(|error| Error::Unavailable(format!("no database for {component}: {error}")))
}

async fn try_find_or_create(pool: &PgPool, component: &str) -> sqlx::Result<Account> {
    let mut transaction = begin_locked(pool).await?;
    let database: String = sqlx::query_scalar("SELECT current_database()::TEXT").fetch_one(&mut *transaction).await?;
    let known: Option<(String, String, String)> =
        sqlx::query_as("SELECT role, password, secret FROM store_components WHERE component = $1")
            .bind(component)
            .fetch_optional(&mut *transaction)
            .await?;
    let is_known = known.is_some();
    let (role, password, secret) = known.unwrap_or_else(|| (role_name(&database, component), random(), random()));
    let account = Account { schema: format!("\"{}\"", name("c_", component)), role, password, secret };
    if !is_known {
        record(&mut transaction, component, &account).await?;
    }
    let has_role: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(&account.role)
        .fetch_one(&mut *transaction)
        .await?;
    if !is_known || !has_role {
        create(&mut transaction, &account, &database, has_role).await?;
    }
    transaction.commit().await?;
    Ok(account)
}

async fn record(connection: &mut PgConnection, component: &str, account: &Account) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO store_components (component, role, password, secret) VALUES ($1, $2, $3, $4)")
        .bind(component)
        .bind(&account.role)
        .bind(&account.password)
        .bind(&account.secret)
        .execute(connection)
        .await
        .map(drop)
}

/// Creates the role and the schema. Roles belong to the server and outlive a
/// database, so the role may exist.
async fn create(connection: &mut PgConnection, account: &Account, database: &str, has_role: bool) -> sqlx::Result<()> {
    let Account { role, password, schema, .. } = account;
    let verb = if has_role { "ALTER" } else { "CREATE" };
    let database: String =
        sqlx::query_scalar("SELECT quote_ident($1)").bind(database).fetch_one(&mut *connection).await?;
    // The names consist of letters, digits, `_` and `-`, the password of
    // hexadecimal digits.
    let statements = format!(
        "{verb} ROLE \"{role}\" LOGIN NOINHERIT PASSWORD '{password}';
         GRANT \"{role}\" TO CURRENT_USER;
         GRANT CONNECT ON DATABASE {database} TO \"{role}\";
         GRANT USAGE ON SCHEMA ticketing_host TO \"{role}\";
         CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION \"{role}\""
    );
    connection.execute(AssertSqlSafe(statements)).await.map(drop)
}

/// Begins a transaction that excludes the other hosts.
async fn begin_locked(pool: &PgPool) -> sqlx::Result<sqlx::Transaction<'static, sqlx::Postgres>> {
    let mut transaction = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(lock_key(&["store", "places"]))
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}

/// The name contains the database, because all databases of a server share its
/// roles.
fn role_name(database: &str, component: &str) -> String {
    let digest = hex::encode(Sha256::digest(database.as_bytes()));
    name(&format!("ticketing_{}_", digest.get(..8).unwrap_or_default()), component)
}

/// A name with a prefix. A digest replaces a component's name that is too long.
fn name(prefix: &str, component: &str) -> String {
    let whole = format!("{prefix}{component}");
    if whole.len() <= NAME_BYTES {
        return whole;
    }
    let digest = hex::encode(Sha256::digest(component.as_bytes()));
    format!("{prefix}{}", digest.get(..32).unwrap_or_default())
}

fn random() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_long_components_fit_and_differ() {
        let (one, other) = (format!("{}1", "a".repeat(80)), format!("{}2", "a".repeat(80)));
        assert_ne!(role_name("d", &one), role_name("d", &other));
        assert_ne!(role_name("d", "a"), role_name("e", "a"));
        assert!(role_name("d", &one).len() <= NAME_BYTES && name("c_", &one).len() <= NAME_BYTES);
        assert_eq!(name("c_", "things"), "c_things");
    }
}
