//! The limits on the use of one component's database by one host.

use super::{Error, Rows, Value, values::value_bytes};
use host_base::Disk;
use host_config::store::StoreConfig;

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
    /// The disk with the SQLite files, if it has a reserve.
    pub(crate) disk: Option<Disk>,
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
            disk: None,
        }
    }
}

impl From<&StoreConfig> for Limits {
    fn from(settings: &StoreConfig) -> Self {
        let wait_ms = u64::try_from(settings.queue_wait.as_millis()).unwrap_or(u64::MAX);
        Self { readers: settings.readers, wait_ms, ..Self::default() }
    }
}

/// Collects the rows of one result within the limits.
pub(crate) struct LimitedRows<'a> {
    limits: &'a Limits,
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl<'a> LimitedRows<'a> {
    pub(crate) fn new(limits: &'a Limits) -> Self {
        Self { limits, rows: Vec::new(), bytes: 0 }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, values: Vec<Value>) -> Result<(), Error> {
        let Limits { result_rows, result_bytes, .. } = *self.limits;
        if self.rows.len() == result_rows {
            return Err(Error::Limit(format!("a result of more than {result_rows} rows")));
        }
        self.bytes += values.iter().map(value_bytes).sum::<usize>();
        if self.bytes > result_bytes {
            return Err(Error::Limit(format!("a result of more than {result_bytes} bytes")));
        }
        self.rows.push(values);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn with_columns(self, columns: Vec<String>) -> Rows {
        Rows { columns, rows: self.rows }
    }
}
