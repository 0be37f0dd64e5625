//! The right to carry a component's events, which one host at a time has: a
//! lock of the database's.

use crate::support::{eventually, postgres};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

/// Takes it before any host does, until it is passed on or the connection is
/// closed.
pub(super) async fn keep(database: &str, component: &str) -> PgConnection {
    let mut keeper = postgres::connect(database).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock($1)").bind(key(component)).execute(&mut keeper).await.unwrap();
    keeper
}

/// Gives it up, and waits until a host has it.
pub(super) async fn pass_on(mut keeper: PgConnection, component: &str) {
    let key = key(component);
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(key).execute(&mut keeper).await.unwrap();
    // The tests' other databases have locks of the same names.
    let locks = "SELECT EXISTS (
                     SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
                     WHERE locktype = 'advisory' AND granted AND datname = current_database()
                     AND (classid::bigint << 32) | objid::bigint = $1
                 )";
    let taken = async || sqlx::query_scalar(locks).bind(key).fetch_one(&mut keeper).await.unwrap();
    eventually("a host carries the events", taken, |taken: &bool| *taken).await;
}

fn key(component: &str) -> i64 {
    let digest = Sha256::digest(format!("ticketing lead {component}"));
    i64::from_be_bytes(digest[..8].try_into().unwrap())
}
