//! The account of a component in the database: a login role and a schema. The
//! role has rights in its own schema and nowhere else. The first host that loads
//! the component creates the account. A host that finds less than an account
//! needs, for example after a restore, adds it.

use super::scram;
use crate::Error;
use host_base::secret::Secret;
use host_database::{HostDatabase, lock_key};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Executor, PgConnection, PgPool};

/// The longest name in PostgreSQL.
const NAME_BYTES: usize = 63;

/// Records an account. The server generates the secrets, so that they stand in
/// no statement and no parameter, which a server may log.
const RECORD: &str = "
    INSERT INTO store_components (component, role, password, secret)
    SELECT $1, $2, string_agg(part, '') FILTER (WHERE n <= 2), string_agg(part, '') FILTER (WHERE n > 2)
    FROM (SELECT n, replace(gen_random_uuid()::text, '-', '') AS part FROM generate_series(1, 4) n) parts
    RETURNING role, password, secret";

/// Whether the role and its schema exist and have what they need, apart from the
/// password.
const IS_COMPLETE: &str = "
    SELECT EXISTS (
        SELECT FROM pg_roles r JOIN pg_namespace n ON n.nspowner = r.oid
        WHERE r.rolname = $1 AND n.nspname = $2 AND r.rolcanlogin
          AND (r.rolvaliduntil IS NULL OR r.rolvaliduntil > now())
          AND has_schema_privilege(r.oid, 'ticketing_host', 'USAGE')
          AND EXISTS (
              SELECT FROM pg_database d, aclexplode(d.datacl) a
              WHERE d.datname = current_database() AND a.grantee = r.oid AND a.privilege_type = 'CONNECT')
          AND NOT EXISTS (
              SELECT FROM pg_class c
              WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relowner <> r.oid))";

/// Gives a role the tables and views of its schema. A dump that was restored
/// without owners has left them to the host's role.
const OWN_TABLES: &str = "
    DO $$
    DECLARE t record;
    BEGIN
        FOR t IN
            SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_roles r ON r.oid = n.nspowner
            WHERE n.nspname = current_setting('ticketing.schema') AND c.relkind IN ('r', 'p', 'v', 'm')
              AND c.relowner <> r.oid
        LOOP
            EXECUTE format('ALTER TABLE %s OWNER TO %I', t.name, current_setting('ticketing.role'));
        END LOOP;
    END $$";

/// Deletes the rows of a component in the host's tables. Of the live events the last
/// number stays, because listeners wait for the one that follows.
const DELETE_ALL: [&str; 7] = [
    "DELETE FROM store_migrations WHERE component = $1",
    "DELETE FROM store_outbox WHERE component = $1",
    "DELETE FROM store_inbox WHERE component = $1",
    "DELETE FROM store_timers WHERE component = $1",
    "DELETE FROM store_requests WHERE component = $1",
    "DELETE FROM store_live WHERE component = $1
     AND sequence < (SELECT max(sequence) FROM store_live WHERE component = $1)",
    "UPDATE store_live SET channel = '', name = '', data = '' WHERE component = $1",
];

/// The account of one component.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) role: String,
    pub(super) password: Secret,
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
    let known = find(&mut transaction, component).await?;
    let is_new = known.is_none();
    let account = match known {
        Some(account) => account,
        None => record(&mut transaction, component).await?,
    };
    let is_complete: bool = sqlx::query_scalar(IS_COMPLETE)
        .bind(&account.role)
        .bind(name("c_", component))
        .fetch_one(&mut *transaction)
        .await?;
    if is_new || !is_complete {
        complete(&mut transaction, &account).await?;
    }
    transaction.commit().await?;
    Ok(account)
}

/// Sets the password of a component's role to the one that the host keeps, and
/// gives the role what else it needs.
pub(super) async fn repair(pool: &PgPool, component: &str) -> sqlx::Result<Account> {
    let mut transaction = begin_locked(pool).await?;
    let account = find(&mut transaction, component).await?.ok_or(sqlx::Error::RowNotFound)?;
    complete(&mut transaction, &account).await?;
    transaction.commit().await?;
    Ok(account)
}

/// Deletes the tables of a component, and its rows in the host's tables. The account stays.
pub(super) async fn empty(pool: &PgPool, component: &str) -> sqlx::Result<()> {
    let mut transaction = begin_locked(pool).await?;
    let account = find(&mut transaction, component).await?.ok_or(sqlx::Error::RowNotFound)?;
    for delete in DELETE_ALL {
        sqlx::query(delete).bind(component).execute(&mut *transaction).await?;
    }
    // The names consist of letters, digits, `_` and `-`.
    let Account { role, schema, .. } = &account;
    let again = format!("DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema} AUTHORIZATION \"{role}\"");
    transaction.execute(AssertSqlSafe(again)).await?;
    transaction.commit().await
}

async fn find(connection: &mut PgConnection, component: &str) -> sqlx::Result<Option<Account>> {
    let row = sqlx::query_as("SELECT role, password, secret FROM store_components WHERE component = $1")
        .bind(component)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| account(component, row)))
}

async fn record(connection: &mut PgConnection, component: &str) -> sqlx::Result<Account> {
    let database: String = sqlx::query_scalar("SELECT current_database()::TEXT").fetch_one(&mut *connection).await?;
    let row =
        sqlx::query_as(RECORD).bind(component).bind(role_name(&database, component)).fetch_one(connection).await?;
    Ok(account(component, row))
}

fn account(component: &str, (role, password, secret): (String, String, String)) -> Account {
    Account { schema: format!("\"{}\"", name("c_", component)), role, password: Secret::new(password), secret }
}

/// Creates the role and the schema, or gives them what they lack. Roles belong
/// to the server and outlive a database, so the role may exist.
async fn complete(connection: &mut PgConnection, account: &Account) -> sqlx::Result<()> {
    let Account { role, password, schema, .. } = account;
    let (has_role, has_schema, database): (bool, bool, String) = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), to_regnamespace($2) IS NOT NULL,
                quote_ident(current_database())",
    )
    .bind(role)
    .bind(schema)
    .fetch_one(&mut *connection)
    .await?;
    let verb = if has_role { "ALTER" } else { "CREATE" };
    let verifier = scram::verifier(password.expose());
    let own_schema = match has_schema {
        true => format!("ALTER SCHEMA {schema} OWNER TO \"{role}\""),
        false => format!("CREATE SCHEMA {schema} AUTHORIZATION \"{role}\""),
    };
    // The names consist of letters, digits, `_` and `-`, the verifier of
    // characters of base64.
    let statements = format!(
        "{verb} ROLE \"{role}\" LOGIN NOINHERIT PASSWORD '{verifier}' VALID UNTIL 'infinity';
         GRANT \"{role}\" TO CURRENT_USER;
         GRANT CONNECT ON DATABASE {database} TO \"{role}\";
         GRANT USAGE ON SCHEMA ticketing_host TO \"{role}\";
         {own_schema};
         SET LOCAL ticketing.schema = {schema};
         SET LOCAL ticketing.role = \"{role}\";
         {OWN_TABLES}"
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
