//! The SQL of a component.

use super::{Error, OpenListener, Rows, Transaction, Value};
use async_trait::async_trait;
use host_base::ByteBudget;
use std::sync::Arc;

/// The engine of a database.
pub trait SqlEngine: Send + Sync + 'static {
    /// OpenTelemetry's name of the engine (`db.system.name`).
    fn system_name(&self) -> &'static str;

    /// Whether the database answers and takes writes, as far as the host knows.
    fn is_available(&self) -> bool {
        true
    }
}

/// The SQL that a component runs, judged by the gate first.
#[async_trait]
pub trait ComponentSql: SqlEngine {
    /// Runs one statement that only reads, on a snapshot of everything
    /// committed.
    async fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error>;

    /// The memory that the host may hold for this component's SQL.
    fn memory(&self) -> &Arc<ByteBudget>;

    /// Listens to a topic that transactions of the component notify.
    fn listen(&self, topic: String) -> Result<OpenListener, Error>;

    /// Waits for the write lock of the component and begins a transaction.
    async fn begin(&self) -> Result<Box<dyn Transaction>, Error>;
}
