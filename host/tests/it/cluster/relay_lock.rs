//! The lock in the database that lets one host at a time relay a component's
//! events to the bus.

use crate::support::{eventually, postgres};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

/// Takes the lock before any host does. The connection holds it until it
/// closes, or until [`pass_on`].
pub(super) async fn hold(database: &str, component: &str) -> PgConnection {
    let mut holder = postgres::connect(database).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock($1)").bind(key(component)).execute(&mut holder).await.unwrap();
    holder
}

/// Releases the lock and waits until a host has it.
pub(super) async fn pass_on(mut holder: PgConnection, component: &str) {
    let key = key(component);
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(key).execute(&mut holder).await.unwrap();
    // The databases of other tests have locks with the same keys.
    let locks = "SELECT EXISTS (
                     SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
                     WHERE locktype = 'advisory' AND granted AND datname = current_database()
                     AND (classid::bigint << 32) | objid::bigint = $1
                 )";
    let taken = async || sqlx::query_scalar(locks).bind(key).fetch_one(&mut holder).await.unwrap();
    eventually("a host takes the lock", taken, |taken: &bool| *taken).await;
}

fn key(component: &str) -> i64 {
    let digest = Sha256::digest(format!("ticketing lead {component}"));
    i64::from_be_bytes(digest[..8].try_into().unwrap())
}
