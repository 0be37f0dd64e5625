//! The right to carry a component's events, which one host at a time has: a
//! lock of the database's.

use crate::support::{eventually, postgres};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

/// Takes it before any host does, until the connection is closed.
pub(super) async fn keep(database: &str, component: &str) -> PgConnection {
    let mut keeper = postgres::connect(database).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock($1)").bind(key(component)).execute(&mut keeper).await.unwrap();
    keeper
}

/// Waits until a host has it.
pub(super) async fn is_taken(database: &str, component: &str) {
    let mut owner = postgres::connect(database).await.unwrap();
    let taken = async || {
        let locks = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
                     AND (classid::bigint << 32) | objid::bigint = $1)";
        sqlx::query_scalar(locks).bind(key(component)).fetch_one(&mut owner).await.unwrap()
    };
    eventually("a host carries the events", taken, |taken: &bool| *taken).await;
}

fn key(component: &str) -> i64 {
    let digest = Sha256::digest(format!("ticketing lead {component}"));
    i64::from_be_bytes(digest[..8].try_into().unwrap())
}
