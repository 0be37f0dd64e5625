//! Calls outside a transaction, and the beginning of one.

use super::StoreView;
use crate::{Error, OpenTransaction, Rows, Transaction, Value, sql_span::operation_of};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use wasmtime::component::Resource;

impl StoreView<'_> {
    pub(super) async fn query_snapshot(&mut self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error> {
        self.hold_parameters(&parameters)?;
        let (database, span) = (self.database()?, self.tracer()?.start(operation_of(statement)));
        let limit = Duration::from_millis(self.transaction_ms);
        span.end(timeout(limit, database.query(statement, parameters)).await.unwrap_or(Err(Error::Timeout)))
    }

    pub(super) async fn execute_and_commit(&mut self, statement: &str, parameters: Vec<Value>) -> Result<u64, Error> {
        self.hold_parameters(&parameters)?;
        let (tracer, mut transaction) = (self.tracer()?, self.begin_transaction().await?);
        let work = async {
            let span = tracer.start(operation_of(statement));
            let changed = span.end(transaction.execute(statement, parameters).await)?;
            tracer.start("COMMIT").end(transaction.commit().await)?;
            Ok(changed)
        };
        timeout(Duration::from_millis(self.transaction_ms), work).await.unwrap_or(Err(Error::Timeout))
    }

    pub(super) async fn open_transaction(&mut self) -> Result<Resource<OpenTransaction>, Error> {
        let inner = self.begin_transaction().await?;
        self.table
            .push(OpenTransaction::new(inner, self.transaction_ms, self.waits.transaction()))
            .map_err(|_| Error::Limit("too many open resources".into()))
    }

    async fn begin_transaction(&mut self) -> Result<Box<dyn Transaction>, Error> {
        // It would wait for the end of the one that waits for it.
        if self.waits.has_transaction() {
            let rule = "commit it or roll it back before the next one, and write inside it alone";
            return Err(Error::Invalid(format!("this call has a transaction open; {rule}")));
        }
        let begun = Instant::now();
        let span = self.tracer()?.start("BEGIN");
        let database = self.database()?;
        let transaction = span.end(match self.claim {
            Some(claim) => claim.begin().await,
            None => database.begin().await,
        });
        self.wait.record(begun.elapsed());
        transaction
    }
}
