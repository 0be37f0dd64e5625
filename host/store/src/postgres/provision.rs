//! A component's place in the database: a schema, and a login role that has
//! rights there and nowhere else. It is made when the component is first
//! loaded by any host.

use super::super::Error;
use host_database::{HostDatabase, lock_key};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Executor, PgConnection, PgPool};

/// The longest name that PostgreSQL takes.
const NAME_BYTES: usize = 63;

/// How to log in as a component.
#[derive(Clone)]
pub(super) struct Place {
    /// The role and, in quotes, its schema.
    pub(super) role: String,
    pub(super) password: String,
    pub(super) schema: String,
    /// What the host's functions want to hear.
    pub(super) secret: String,
}

/// The host's tables for components, and no temporary tables for anybody.
pub(super) async fn prepare(host: &HostDatabase, pool: &PgPool) -> sqlx::Result<()> {
    host.ensure("store", super::schema::STEPS).await?;
    let database: String = sqlx::query_scalar("SELECT quote_ident(current_database())").fetch_one(pool).await?;
    let mut transaction = locked(pool).await?;
    // Nothing but the quoted name was put into it.
    transaction.execute(AssertSqlSafe(format!("REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"))).await?;
    transaction.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC").await?;
    transaction.commit().await
}

/// Finds or makes a component's place.
pub(super) async fn place(pool: &PgPool, component: &str) -> Result<Place, Error> {
    provide(pool, component).await.map_err(|error| Error::Unavailable(format!("no database for {component}: {error}")))
}

async fn provide(pool: &PgPool, component: &str) -> sqlx::Result<Place> {
    let mut transaction = locked(pool).await?;
    let database: String = sqlx::query_scalar("SELECT current_database()::TEXT").fetch_one(&mut *transaction).await?;
    let known: Option<(String, String, String)> =
        sqlx::query_as("SELECT role, password, secret FROM store_components WHERE component = $1")
            .bind(component)
            .fetch_optional(&mut *transaction)
            .await?;
    let is_known = known.is_some();
    let (role, password, secret) = known.unwrap_or_else(|| (role_name(&database, component), random(), random()));
    let place = Place { schema: format!("\"{}\"", name("c_", component)), role, password, secret };
    if !is_known {
        sqlx::query("INSERT INTO store_components (component, role, password, secret) VALUES ($1, $2, $3, $4)")
            .bind(component)
            .bind(&place.role)
            .bind(&place.password)
            .bind(&place.secret)
            .execute(&mut *transaction)
            .await?;
    }
    let has_role: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(&place.role)
        .fetch_one(&mut *transaction)
        .await?;
    if !is_known || !has_role {
        make(&mut transaction, &place, &database, has_role).await?;
    }
    transaction.commit().await?;
    Ok(place)
}

/// Roles belong to the server and outlive the database, so there may be one.
/// The names are made of letters, digits, `_` and `-`, the password of
/// hexadecimal digits.
async fn make(connection: &mut PgConnection, place: &Place, database: &str, has_role: bool) -> sqlx::Result<()> {
    let Place { role, password, schema, .. } = place;
    let verb = if has_role { "ALTER" } else { "CREATE" };
    let database: String =
        sqlx::query_scalar("SELECT quote_ident($1)").bind(database).fetch_one(&mut *connection).await?;
    let statements = format!(
        "{verb} ROLE \"{role}\" LOGIN NOINHERIT PASSWORD '{password}';
         GRANT \"{role}\" TO CURRENT_USER;
         GRANT CONNECT ON DATABASE {database} TO \"{role}\";
         GRANT USAGE ON SCHEMA ticketing_host TO \"{role}\";
         CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION \"{role}\""
    );
    connection.execute(AssertSqlSafe(statements)).await.map(drop)
}

/// One host at a time.
async fn locked(pool: &PgPool) -> sqlx::Result<sqlx::Transaction<'static, sqlx::Postgres>> {
    let mut transaction = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(lock_key(&["store", "places"]))
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}

/// Installations in databases of one server share its roles.
fn role_name(database: &str, component: &str) -> String {
    let digest = hex::encode(Sha256::digest(database.as_bytes()));
    name(&format!("ticketing_{}_", digest.get(..8).unwrap_or_default()), component)
}

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
    fn long_names_are_short_enough_and_differ() {
        let (one, other) = (format!("{}1", "a".repeat(80)), format!("{}2", "a".repeat(80)));
        assert_ne!(role_name("d", &one), role_name("d", &other));
        assert_ne!(role_name("d", "a"), role_name("e", "a"));
        assert!(role_name("d", &one).len() <= NAME_BYTES && name("c_", &one).len() <= NAME_BYTES);
        assert_eq!(name("c_", "things"), "c_things");
    }
}
