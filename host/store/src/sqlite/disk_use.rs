//! The disk space of a component on SQLite.

use super::{PAGE_BYTES, SqliteDatabase};
use crate::{DiskAmount, DiskUse, Error, TableSize, disk_use::TableRow};
use async_trait::async_trait;

/// The pages of each table and its indexes. The rows of a table are in its leaves, or
/// in all pages if it has no rowid. The tables of the host and of SQLite are left out.
const TABLES: &str = "
    SELECT m.tbl_name,
           sum(CASE WHEN m.type = 'table' AND (d.pagetype = 'leaf' OR t.wr) THEN d.ncell ELSE 0 END),
           sum(d.pgsize)
    FROM sqlite_schema m JOIN pragma_table_list t ON t.schema = 'main' AND t.name = m.tbl_name
         JOIN dbstat d ON d.name = m.name
    WHERE m.tbl_name NOT LIKE 'host\\_%' ESCAPE '\\' AND m.tbl_name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    GROUP BY m.tbl_name ORDER BY 3 DESC, 1 LIMIT $1";

#[async_trait]
impl DiskUse for SqliteDatabase {
    /// Free pages inside the file do not count, because new rows use them.
    async fn measure(&self) -> Result<DiskAmount, Error> {
        let sql = "SELECT p.page_count - f.freelist_count, (SELECT count(*) FROM host_outbox), \
                   (SELECT count(*) FROM host_timers) FROM pragma_page_count AS p, pragma_freelist_count AS f";
        let rows: Vec<(i64, i64, i64)> = self.read_large_own(sql, &[]).await?;
        let (pages, outbox_events, timers) = rows.first().copied().unwrap_or_default();
        let amount = DiskAmount {
            database_bytes: pages.cast_unsigned().saturating_mul(PAGE_BYTES.into()),
            outbox_events: outbox_events.cast_unsigned(),
            timers: timers.cast_unsigned(),
        };
        self.count_requests().await?;
        self.shared.disk.measured(amount);
        Ok(amount)
    }

    async fn measure_tables(&self, most: u32) -> Result<Vec<TableSize>, Error> {
        let rows: Vec<TableRow> = self.read_large_own(TABLES, &[most.into()]).await?;
        Ok(rows.into_iter().map(|row| TableSize::of(row, false)).collect())
    }

    /// SQLite itself limits the size of the file, at the next transaction.
    fn set_quota(&self, quota: DiskAmount) {
        self.shared.disk.set_quota(quota);
        self.shared.writer.set_max_pages((quota.database_bytes / u64::from(PAGE_BYTES)).max(1));
    }

    fn last_measured(&self) -> DiskAmount {
        self.shared.disk.known()
    }

    fn quota(&self) -> DiskAmount {
        self.shared.disk.quota()
    }
}
