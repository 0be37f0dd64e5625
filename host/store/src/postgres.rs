//! The shared engine: one PostgreSQL database with a schema and a login role for
//! each component, so that the database itself isolates the components.
//!
//! The statements of a component run on connections of its role. A few of them
//! take turns to hold the write lock (`write_lock.rs`), and the others only
//! read. The host keeps outbox, inbox, timers and migrations in tables of its
//! own (`host_tables.rs`).

mod accounts;
mod component_sql;
mod databases;
mod disk_use;
mod errors;
mod host_tables;
mod inbox;
mod keyed_requests;
mod lease_locks;
mod leases;
mod lock_session;
mod migrations;
mod notification;
mod notify_channel;
mod numeric;
mod outbox;
mod outbox_insert;
mod pool;
mod savepoint;
mod statements;
mod timer_queue;
mod topic_channel;
mod transaction;
mod values;
mod write_guard;
mod write_lock;

use super::{Database, Error, disk_use::DiskAccount, gate::Gate, limits::Limits};
use accounts::Account;
use async_trait::async_trait;
pub use databases::PostgresDatabases;
use host_base::Dialect;
use host_database::lock_key;
use lease_locks::LeaseLocks;
use notify_channel::{NotifyChannel, Signals};
use pool::Pool;
use sqlx::PgPool;
use std::sync::Arc;
use topic_channel::TopicChannel;
use transaction::PostgresTransaction;
use write_lock::WriteLock;

/// One component's schema, as this host uses it.
struct PostgresDatabase {
    shared: Arc<Shared>,
    write_lock: WriteLock,
    readers: Pool,
    /// Connections of the host's role.
    host: PgPool,
    lease_locks: Arc<LeaseLocks>,
}

/// The state that the database shares with its open transactions.
struct Shared {
    component: String,
    gate: Gate,
    limits: Limits,
    disk: DiskAccount,
    signals: Signals,
    channel: Arc<NotifyChannel>,
    topic_channel: Arc<TopicChannel>,
    /// The first parameter of the host's functions.
    secret: String,
}

impl PostgresDatabase {
    fn new(databases: &PostgresDatabases, component: &str, account: &Account) -> Result<Self, Error> {
        let limits = databases.limits.of_component();
        let writers = databases.pool(account, WriteLock::CONNECTIONS, true)?;
        Ok(Self {
            write_lock: WriteLock::new(writers, lock_key(&["turn", component]), &limits),
            readers: databases.pool(account, limits.readers, false)?,
            host: databases.host.clone(),
            lease_locks: databases.lease_locks.clone(),
            shared: Arc::new(Shared {
                component: component.to_owned(),
                gate: Gate::new(Dialect::Postgres),
                limits,
                disk: DiskAccount::new(None),
                signals: databases.channel.signals(component),
                channel: databases.channel.clone(),
                topic_channel: databases.topic_channel.clone(),
                secret: account.secret.clone(),
            }),
        })
    }

    async fn begin_write(&self) -> Result<PostgresTransaction, Error> {
        Ok(PostgresTransaction::new(self.shared.clone(), self.write_lock.begin().await?))
    }
}

#[async_trait]
impl Database for PostgresDatabase {
    async fn close(&self) {
        self.readers.close().await;
        self.write_lock.close().await;
    }
}

#[cfg(test)]
mod tests;
