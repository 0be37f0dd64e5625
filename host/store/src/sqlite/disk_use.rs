//! The disk space of a component on SQLite.

use super::{PAGE_BYTES, SqliteDatabase};
use crate::{DiskAmount, DiskUse, Error};
use async_trait::async_trait;

#[async_trait]
impl DiskUse for SqliteDatabase {
    /// Free pages inside the file do not count, because new rows use them.
    async fn measure(&self) -> Result<DiskAmount, Error> {
        let sql = "SELECT p.page_count - f.freelist_count, (SELECT count(*) FROM host_outbox), \
                   (SELECT count(*) FROM host_timers) FROM pragma_page_count AS p, pragma_freelist_count AS f";
        let rows: Vec<(i64, i64, i64)> = self.read_own(sql, &[]).await?;
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

    /// SQLite itself limits the size of the file, at the next transaction.
    fn set_quota(&self, quota: DiskAmount) {
        self.shared.disk.set_quota(quota);
        self.shared.writer.set_max_pages((quota.database_bytes / u64::from(PAGE_BYTES)).max(1));
    }

    fn quota(&self) -> DiskAmount {
        self.shared.disk.quota()
    }
}
