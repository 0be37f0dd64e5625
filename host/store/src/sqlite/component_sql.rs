//! The SQL of a component on SQLite.

use super::SqliteDatabase;
use crate::{ComponentSql, Error, OpenListener, Rows, SqlEngine, Transaction, Value};
use async_trait::async_trait;
use host_base::ByteBudget;
use std::sync::Arc;

impl SqlEngine for SqliteDatabase {
    fn system_name(&self) -> &'static str {
        "sqlite"
    }
}

#[async_trait]
impl ComponentSql for SqliteDatabase {
    async fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error> {
        let checked = self.shared.gate.check(statement, &parameters).await?;
        if !checked.reads_only {
            return Err(Error::Invalid("a query outside a transaction only reads".into()));
        }
        self.rows(&checked.pace, checked.sql, parameters).await
    }

    fn memory(&self) -> &Arc<ByteBudget> {
        &self.shared.limits.memory
    }

    fn listen(&self, topic: String) -> Result<OpenListener, Error> {
        self.shared.topics.listen(topic)
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, Error> {
        self.shared.disk.check_disk()?;
        Ok(Box::new(self.begin_write().await?))
    }
}
