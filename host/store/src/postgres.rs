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
mod live_log;
mod lock_session;
mod login;
mod migrations;
mod notification;
mod notify_channel;
mod numeric;
mod outbox;
mod outbox_insert;
mod pool;
mod savepoint;
mod scram;
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
use errors::Failure;
use host_base::Dialect;
use host_database::{
    connections::{Connections, HostPool},
    lock_key,
};
use lease_locks::LeaseLocks;
use notify_channel::{NotifyChannel, Signals};
use pool::Pool;
use sqlx::Postgres;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use topic_channel::TopicChannel;
use transaction::PostgresTransaction;
use write_lock::WriteLock;

/// One component's schema, as this host uses it.
struct PostgresDatabase {
    shared: Arc<Shared>,
    write_lock: WriteLock,
    readers: Pool,
    /// Connections of the host's role.
    host: HostPool<Postgres>,
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
    connections: Arc<Connections>,
    /// The first parameter of the host's functions.
    secret: String,
}

impl PostgresDatabase {
    fn new(databases: &PostgresDatabases, component: &str, account: &Account) -> Result<Self, Error> {
        let limits = databases.limits.of_component();
        let (login, schema) = (databases.login(component, account), &account.schema);
        let writers = databases.pool(&login, schema, WriteLock::CONNECTIONS, true)?;
        Ok(Self {
            write_lock: WriteLock::new(writers, schema, lock_key(&["turn", component]), &limits),
            readers: databases.pool(&login, schema, limits.readers, false)?,
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
                connections: databases.connections.clone(),
                secret: account.secret.clone(),
            }),
        })
    }

    /// Opens the first connection, to find out whether the role can log in.
    async fn check_login(&self) -> Result<(), Error> {
        let wait = Duration::from_millis(self.shared.limits.wait_ms);
        let acquired = timeout(wait, self.readers.acquire()).await.map_err(|_| Error::Timeout)?;
        acquired.map_err(Failure::into_error)?.release();
        Ok(())
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
