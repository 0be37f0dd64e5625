//! The limits on the use of one component's database by one host.

use super::{
    Error, Rows, Value,
    memory::{HeldMemory, LEAST_COMPONENT_BYTES, memory_of},
    values::value_bytes,
};
use host_base::{ByteBudget, Disk};
use host_config::store::StoreConfig;
use std::{mem::size_of, sync::Arc, time::Duration};

/// The limits on one component's database.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Connections that only read.
    pub(crate) readers: u32,
    /// The longest wait for the write lock or for a connection.
    pub(crate) wait_ms: u64,
    /// The longest run of one statement.
    pub(crate) statement_ms: u64,
    /// The longest run of one statement of a migration.
    pub(crate) migration_statement_ms: u64,
    /// The most rows of one result.
    pub(crate) result_rows: usize,
    /// The most bytes of all values of one result.
    pub(crate) result_bytes: usize,
    /// The largest size of a SQLite file.
    pub(crate) database_bytes: u64,
    /// The most requests with a key in a day.
    pub(crate) keyed_requests: u64,
    /// The most of them that one visitor makes.
    pub(crate) keyed_requests_of_visitor: u64,
    /// The disk with the SQLite files, if it has a reserve.
    pub(crate) disk: Option<Disk>,
    /// The memory of this database's results, or of all databases while it is
    /// not open.
    pub(crate) memory: Arc<ByteBudget>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            readers: 4,
            wait_ms: 5_000,
            statement_ms: 5_000,
            migration_statement_ms: 60_000,
            result_rows: 10_000,
            result_bytes: 8 * 1024 * 1024,
            database_bytes: 16 * 1024 * 1024 * 1024,
            keyed_requests: 1_000_000,
            keyed_requests_of_visitor: 1_000,
            disk: None,
            memory: ByteBudget::new(256 << 20),
        }
    }
}

impl From<&StoreConfig> for Limits {
    fn from(settings: &StoreConfig) -> Self {
        let wait_ms = u64::try_from(settings.queue_wait.as_millis()).unwrap_or(u64::MAX);
        let memory = ByteBudget::new(settings.memory_bytes);
        Self { readers: settings.readers, wait_ms, memory, ..Self::default() }
    }
}

impl Limits {
    /// The longest run of one statement.
    pub(crate) fn statement_limit(&self) -> Duration {
        Duration::from_millis(self.statement_ms)
    }

    /// The limits of one component's database, with a budget of its own.
    pub(crate) fn of_component(&self) -> Self {
        Self { memory: ByteBudget::part_of(&self.memory, LEAST_COMPONENT_BYTES), ..self.clone() }
    }
}

/// A calculation on SQLite can have no finite result where PostgreSQL has an
/// error. A zero has no sign, because SQLite stores none.
fn same_on_every_engine(value: Value) -> Result<Value, Error> {
    match value {
        Value::Real(real) if !real.is_finite() => {
            Err(Error::Invalid("a number of the result is not finite".to_owned()))
        }
        Value::Real(real) => Ok(Value::Real(real + 0.0)),
        value => Ok(value),
    }
}

/// Collects the rows of one result within the limits.
pub(crate) struct LimitedRows<'a> {
    limits: &'a Limits,
    rows: Vec<Vec<Value>>,
    bytes: usize,
    memory: HeldMemory,
}

impl<'a> LimitedRows<'a> {
    pub(crate) fn new(limits: &'a Limits) -> Self {
        Self { limits, rows: Vec::new(), bytes: 0, memory: HeldMemory::of(&limits.memory) }
    }

    /// Adds a row. Counts each of its values before it reads the next one.
    pub(crate) fn push<F>(
        &mut self,
        columns: usize,
        value: impl Fn(usize) -> Result<Value, F>,
        over_limit: fn(Error) -> F,
    ) -> Result<(), F> {
        let most = self.limits.result_rows;
        if self.rows.len() == most {
            return Err(over_limit(Error::Limit(format!("a result of more than {most} rows"))));
        }
        self.memory.add(size_of::<Vec<Value>>()).map_err(over_limit)?;
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            let value = same_on_every_engine(value(column)?).map_err(over_limit)?;
            self.count(&value).map_err(over_limit)?;
            values.push(value);
        }
        self.rows.push(values);
        Ok(())
    }

    fn count(&mut self, value: &Value) -> Result<(), Error> {
        let most = self.limits.result_bytes;
        self.bytes += value_bytes(value);
        if self.bytes > most {
            return Err(Error::Limit(format!("a result of more than {most} bytes")));
        }
        self.memory.add(memory_of(std::slice::from_ref(value)))
    }

    pub(crate) fn with_columns(self, columns: Vec<String>) -> Rows {
        Rows { columns, rows: self.rows }
    }
}
