//! The SQL of a component on PostgreSQL.

use super::{
    PostgresDatabase,
    errors::{Failure, Recovery},
    statements::{self, BoundStatement},
};
use crate::{ComponentSql, Error, OpenListener, Rows, SqlEngine, Transaction, Value};
use async_trait::async_trait;
use host_base::ByteBudget;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// The most attempts at a query whose connections turn out to be lost.
const QUERY_ATTEMPTS: usize = 3;

impl SqlEngine for PostgresDatabase {
    fn system_name(&self) -> &'static str {
        "postgresql"
    }

    fn is_available(&self) -> bool {
        self.shared.connections.problem().is_none()
    }
}

#[async_trait]
impl ComponentSql for PostgresDatabase {
    async fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error> {
        let checked = self.shared.gate.check(statement, &parameters).await?;
        if !checked.reads_only {
            return Err(Error::Invalid("a query outside a transaction only reads".into()));
        }
        self.read_again(BoundStatement { sql: checked.sql, parameters }).await
    }

    fn memory(&self) -> &Arc<ByteBudget> {
        &self.shared.limits.memory
    }

    fn listen(&self, topic: String) -> Result<OpenListener, Error> {
        self.shared.topic_channel.listen(&self.shared.component, topic)
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, Error> {
        Ok(Box::new(self.begin_write().await?))
    }
}

impl PostgresDatabase {
    /// Runs a statement that only reads, and repeats it if the connection turns
    /// out to be lost.
    pub(super) async fn read_again(&self, statement: BoundStatement) -> Result<Rows, Error> {
        let mut recovery = None;
        for _ in 1..QUERY_ATTEMPTS {
            match self.read(statement.clone(), recovery).await {
                Err(Failure { recovery: Some(next), .. }) => recovery = Some(next),
                // A standby has cancelled the query to follow its primary.
                Err(Failure { error: Error::Conflict, .. }) => {}
                result => return result.map_err(Failure::into_error),
            }
        }
        self.read(statement, recovery).await.map_err(Failure::into_error)
    }

    /// Runs a statement on a connection that only reads. If the caller is
    /// dropped, the connection is closed.
    async fn read(&self, statement: BoundStatement, recovery: Option<Recovery>) -> Result<Rows, Failure> {
        let wait = Duration::from_millis(self.shared.limits.wait_ms);
        let acquired = timeout(wait, self.readers.acquire()).await;
        let mut pooled = acquired.map_err(|_| Failure::transaction(Error::Timeout))??;
        let connection = pooled.connection().map_err(Failure::transaction)?;
        let rows = statements::rows(connection, statement, recovery, &self.shared.limits);
        let result = self.shared.connections.unless_silent(rows).await.unwrap_or_else(|| Err(Failure::no_answer()));
        match &result {
            // The session only reads on purpose, so the component is to blame.
            Err(Failure { recovery: Some(Recovery::LeaveReader), .. }) => {
                pooled.release();
                return Err(Failure::statement(Error::Invalid("a query outside a transaction only reads".into())));
            }
            Err(Failure { recovery: Some(Recovery::Reconnect), .. }) => self.readers.close_idle(Duration::ZERO),
            // Dropping the connection closes it, and discards the rest of the
            // rows.
            Err(Failure { error: Error::Limit(_), .. }) => {}
            _ => pooled.release(),
        }
        result
    }
}
