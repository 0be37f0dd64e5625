//! What a component occupies on disk, and how much it may.
//!
//! A component over its quota gets the error `limit` for what would occupy
//! more. It can still read, delete and commit. When the disk is almost full, no
//! component can write, because the rest is for the host.

use super::{Error, errors::DISK_FULL};
use async_trait::async_trait;
use host_base::Disk;
use parking_lot::Mutex;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// What a component may occupy, or what it occupies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskAmount {
    /// Its database, with what waits in outbox and timers.
    pub database_bytes: u64,
    /// Events that the relay has not carried yet.
    pub outbox_events: u64,
    /// Timers that are set.
    pub timers: u64,
}

/// A table of a component, without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSize {
    /// The name of the table.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Whether the number of rows is an estimate of the database.
    pub is_estimate: bool,
    /// The bytes of the table and its indexes.
    pub bytes: u64,
}

/// The columns of a table: name, rows, bytes.
pub(crate) type TableRow = (String, i64, i64);

impl TableSize {
    pub(crate) fn of((name, rows, bytes): TableRow, is_estimate: bool) -> Self {
        Self { name, rows: rows.cast_unsigned(), is_estimate, bytes: bytes.cast_unsigned() }
    }
}

/// The disk space of one component, for the host.
#[async_trait]
pub trait DiskUse: Send + Sync + 'static {
    /// What the component occupies now.
    async fn measure(&self) -> Result<DiskAmount, Error>;

    /// The component's own tables, the largest first. Reading them takes at most as
    /// long as a statement of the component may take.
    async fn measure_tables(&self, most: u32) -> Result<Vec<TableSize>, Error>;

    /// The amount at the last measurement, with the commits since
    /// then. It asks nobody.
    fn last_measured(&self) -> DiskAmount;

    /// Sets what the component may occupy.
    fn set_quota(&self, quota: DiskAmount);

    /// What the component may occupy.
    fn quota(&self) -> DiskAmount;
}

/// The account of one component. Counts of commits are added to the last
/// measurement, so the account is right between two measurements too.
#[derive(Debug)]
pub(crate) struct DiskAccount {
    /// None if the database lies elsewhere.
    disk: Option<Disk>,
    quota: Mutex<DiskAmount>,
    database_bytes: AtomicU64,
    outbox_events: AtomicU64,
    timers: AtomicU64,
    requests: AtomicU64,
    request_bytes: AtomicU64,
    /// How long changes have run since the last measurement.
    unmeasured_us: AtomicU64,
    /// The bytes of their parameters.
    unmeasured_bytes: AtomicU64,
    /// When the requests were counted. Counting takes long if they are many.
    requests_counted: Mutex<Option<Instant>>,
}

/// How long a count of the requests is good enough.
const REQUESTS_COUNTED_EVERY: Duration = Duration::from_secs(60);
/// How long changes may run until the database is measured again. Measuring
/// takes about a hundredth of that.
const UNMEASURED: Duration = Duration::from_millis(100);
/// How many bytes of parameters they may have until then.
const UNMEASURED_BYTES: u64 = 8 << 20;

impl DiskAmount {
    /// More than any disk has.
    pub const UNLIMITED: Self = Self { database_bytes: u64::MAX, outbox_events: u64::MAX, timers: u64::MAX };
}

impl DiskAccount {
    pub(crate) fn new(disk: Option<Disk>) -> Self {
        Self {
            disk,
            quota: Mutex::new(DiskAmount::UNLIMITED),
            database_bytes: AtomicU64::new(0),
            outbox_events: AtomicU64::new(0),
            timers: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            request_bytes: AtomicU64::new(0),
            unmeasured_us: AtomicU64::new(0),
            unmeasured_bytes: AtomicU64::new(0),
            requests_counted: Mutex::new(None),
        }
    }

    pub(crate) fn quota(&self) -> DiskAmount {
        *self.quota.lock()
    }

    pub(crate) fn set_quota(&self, quota: DiskAmount) {
        *self.quota.lock() = quota;
    }

    pub(crate) fn known(&self) -> DiskAmount {
        DiskAmount {
            database_bytes: self.database_bytes.load(Relaxed),
            outbox_events: self.outbox_events.load(Relaxed),
            timers: self.timers.load(Relaxed),
        }
    }

    pub(crate) fn measured(&self, amount: DiskAmount) {
        self.database_bytes.store(amount.database_bytes, Relaxed);
        self.outbox_events.store(amount.outbox_events, Relaxed);
        self.timers.store(amount.timers, Relaxed);
    }

    /// Adds a change that ran for this time with parameters of this size. Returns
    /// whether the database must be measured, and then starts anew.
    pub(crate) fn must_measure(&self, ran: Duration, bytes: u64) -> bool {
        let ran_us = u64::try_from(ran.as_micros()).unwrap_or(u64::MAX);
        let all_us = self.unmeasured_us.fetch_add(ran_us, Relaxed).saturating_add(ran_us);
        let all_bytes = self.unmeasured_bytes.fetch_add(bytes, Relaxed).saturating_add(bytes);
        let must = u128::from(all_us) >= UNMEASURED.as_micros() || all_bytes >= UNMEASURED_BYTES;
        if must {
            self.unmeasured_us.store(0, Relaxed);
            self.unmeasured_bytes.store(0, Relaxed);
        }
        must
    }

    /// Sets the size of the database, if it is larger than the known one. The
    /// next measurement sees a database that has become smaller.
    pub(crate) fn has_grown_to(&self, bytes: u64) {
        self.database_bytes.fetch_max(bytes, Relaxed);
    }

    /// Adds bytes that a commit has stored outside the component's own tables.
    pub(crate) fn stored(&self, bytes: u64) {
        self.database_bytes.fetch_add(bytes, Relaxed);
    }

    /// Adds what a commit has made durable.
    pub(crate) fn committed(&self, events: u64, timers: u64) {
        self.outbox_events.fetch_add(events, Relaxed);
        self.timers.fetch_add(timers, Relaxed);
    }

    /// Subtracts what the relay has carried.
    pub(crate) fn carried(&self, events: u64) {
        // The closure never refuses.
        let _ = self.outbox_events.fetch_update(Relaxed, Relaxed, |known| Some(known.saturating_sub(events)));
    }

    /// Whether the requests with a key must be counted again. Says so once.
    pub(crate) fn must_count_requests(&self) -> bool {
        let mut counted = self.requests_counted.lock();
        let must = counted.is_none_or(|counted| counted.elapsed() > REQUESTS_COUNTED_EVERY);
        if must {
            *counted = Some(Instant::now());
        }
        must
    }

    pub(crate) fn requests_counted(&self, requests: u64, bytes: u64) {
        self.requests.store(requests, Relaxed);
        self.request_bytes.store(bytes, Relaxed);
    }

    /// Adds a request. A request counts twice until the next count: at its claim
    /// and at its answer.
    pub(crate) fn request_recorded(&self, answer_bytes: u64) {
        self.requests.fetch_add(1, Relaxed);
        self.request_bytes.fetch_add(answer_bytes, Relaxed);
    }

    pub(crate) fn requests_pruned(&self, requests: u64) {
        // The closure never refuses.
        let _ = self.requests.fetch_update(Relaxed, Relaxed, |known| Some(known.saturating_sub(requests)));
    }

    /// The bytes of the stored answers, if they are not part of the database's
    /// own size.
    pub(crate) fn request_bytes(&self) -> u64 {
        self.request_bytes.load(Relaxed)
    }

    /// Whether the component may take one more request with a key.
    pub(crate) fn check_requests(&self, most: u64) -> Result<(), Error> {
        if self.requests.load(Relaxed) >= most {
            return Err(Error::Limit(format!("the component's {most} requests with a key in 24 hours")));
        }
        Ok(())
    }

    /// Whether the component may write at all.
    pub(crate) fn check_disk(&self) -> Result<(), Error> {
        if self.is_disk_low() {
            return Err(Error::Limit("the disk of the host is almost full, components cannot write".into()));
        }
        Ok(())
    }

    /// Whether the component's database may grow.
    pub(crate) fn check_growth(&self) -> Result<(), Error> {
        self.check_disk()?;
        let quota = self.quota().database_bytes;
        if self.database_bytes.load(Relaxed) > quota {
            return Err(Self::database_full(quota));
        }
        Ok(())
    }

    /// Whether a transaction that has published this number of events may
    /// publish one more.
    pub(crate) fn check_event(&self, published: u64) -> Result<(), Error> {
        self.check_growth()?;
        let quota = self.quota().outbox_events;
        if self.outbox_events.load(Relaxed).saturating_add(published) >= quota {
            return Err(Error::Limit(format!("the component's quota of {quota} events that wait for the bus")));
        }
        Ok(())
    }

    /// Whether a transaction that has set this number of timers may set one
    /// more.
    pub(crate) fn check_timer(&self, set: u64) -> Result<(), Error> {
        self.check_growth()?;
        let quota = self.quota().timers;
        if self.timers.load(Relaxed).saturating_add(set) >= quota {
            return Err(Error::Limit(format!("the component's quota of {quota} timers")));
        }
        Ok(())
    }

    /// SQLite reports a full disk and a full quota as the same error. Only the
    /// latter is the component's.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match error {
            Error::Unavailable(text) if text == DISK_FULL && !self.is_disk_low() => {
                Self::database_full(self.quota().database_bytes)
            }
            error => error,
        }
    }

    fn is_disk_low(&self) -> bool {
        self.disk.as_ref().is_some_and(Disk::is_low)
    }

    fn database_full(quota: u64) -> Error {
        Error::Limit(format!("the component's quota of {} MiB for its database", quota >> 20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(result: Result<(), Error>) -> String {
        match result {
            Err(Error::Limit(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_component_over_one_quota_cannot_add_to_it() {
        let account = DiskAccount::new(None);
        account.set_quota(DiskAmount { database_bytes: 3 << 20, outbox_events: 10, timers: 5 });
        account.measured(DiskAmount { database_bytes: 3 << 20, outbox_events: 7, timers: 0 });
        account.check_growth().unwrap();
        account.check_event(2).unwrap();
        assert!(text(account.check_event(3)).contains("10 events"));
        account.committed(3, 5);
        assert!(text(account.check_event(0)).contains("10 events"));
        assert!(text(account.check_timer(0)).contains("5 timers"));
        account.carried(4);
        assert_eq!(account.known(), DiskAmount { database_bytes: 3 << 20, outbox_events: 6, timers: 5 });
        account.check_event(0).unwrap();
        account.carried(100);
        account.check_event(9).unwrap();
        account.measured(DiskAmount { database_bytes: (3 << 20) + 1, outbox_events: 0, timers: 0 });
        for refused in [account.check_growth(), account.check_event(0), account.check_timer(0)] {
            assert!(text(refused).contains("3 MiB"));
        }
        account.check_disk().unwrap();
    }

    #[test]
    fn a_database_is_measured_after_long_or_large_changes() {
        let account = DiskAccount::new(None);
        assert!(!account.must_measure(Duration::from_millis(60), 0));
        assert!(account.must_measure(Duration::from_millis(60), 0));
        assert!(!account.must_measure(Duration::from_millis(60), UNMEASURED_BYTES - 1));
        assert!(account.must_measure(Duration::ZERO, 1));
        account.set_quota(DiskAmount { database_bytes: 10, ..DiskAmount::UNLIMITED });
        account.has_grown_to(10);
        account.check_growth().unwrap();
        account.stored(1);
        assert!(account.check_growth().is_err());
        account.has_grown_to(5);
        assert!(account.check_growth().is_err(), "only a measurement sees less");
    }

    #[test]
    fn nobody_writes_to_a_disk_that_is_almost_full() {
        let folder = tempfile::tempdir().unwrap();
        let account = DiskAccount::new(Some(Disk::new(folder.path(), u64::MAX)));
        assert!(text(account.check_disk()).contains("almost full"));
        assert!(text(account.check_event(0)).contains("almost full"));
        let full = Error::Unavailable(DISK_FULL.into());
        assert!(matches!(account.explain(full.clone()), Error::Unavailable(_)), "it is the disk");
        assert!(matches!(DiskAccount::new(None).explain(full), Error::Limit(_)), "it is the quota");
    }
}
