//! The file system with the data directory. The host keeps a reserve of it for
//! itself, so that an operator can stop a plugin that has filled the rest.
//!
//! SQLite copies its write-ahead log into the database some time after the
//! commit. The space for the copy is part of the reserve, or the copy would use
//! it up.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The free space is looked at again after this time.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The disk that the parts of a host share.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    reserve_bytes: u64,
    begun: Instant,
    /// Milliseconds since the beginning.
    looked_ms: AtomicU64,
    is_low: AtomicBool,
}

/// The state of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// What the host's user can still write.
    pub free_bytes: u64,
    /// Below this, components cannot write.
    pub reserve_bytes: u64,
}

impl Disk {
    /// The disk with this folder.
    pub fn new(folder: &Path, reserve_bytes: u64) -> Self {
        let disk = Self(Arc::new(Shared {
            folder: folder.to_owned(),
            reserve_bytes,
            begun: Instant::now(),
            looked_ms: AtomicU64::new(0),
            is_low: AtomicBool::new(false),
        }));
        disk.look();
        disk
    }

    /// Whether only the host may write. The answer is at most a moment old.
    pub fn is_low(&self) -> bool {
        let now_ms = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked_ms = self.0.looked_ms.load(Relaxed);
        let is_due = u128::from(now_ms.saturating_sub(looked_ms)) >= LOOK_EVERY.as_millis();
        // One of the callers looks.
        if is_due && self.0.looked_ms.compare_exchange(looked_ms, now_ms, Relaxed, Relaxed).is_ok() {
            self.look();
        }
        self.0.is_low.load(Relaxed)
    }

    /// The state now. None if the system does not tell it.
    pub fn space(&self) -> Option<DiskSpace> {
        let found = rustix::fs::statvfs(&self.0.folder).ok()?;
        let free_bytes = found.f_bavail.saturating_mul(found.f_frsize);
        let reserve_bytes = match self.0.reserve_bytes {
            0 => 0,
            bytes => bytes.saturating_add(self.logs_bytes()),
        };
        Some(DiskSpace { free_bytes, reserve_bytes })
    }

    /// The size of the write-ahead logs.
    fn logs_bytes(&self) -> u64 {
        let folders = [self.0.folder.clone(), self.0.folder.join("components")];
        let files = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
        let logs = files.filter(|file| file.file_name().as_encoded_bytes().ends_with(b"-wal"));
        logs.filter_map(|log| Some(log.metadata().ok()?.len())).sum()
    }

    fn look(&self) {
        let is_low = self.space().is_some_and(|space| space.free_bytes < space.reserve_bytes);
        self.0.is_low.store(is_low, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_low_when_less_than_the_reserve_is_free() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!Disk::new(folder.path(), 0).is_low());
        assert!(Disk::new(folder.path(), u64::MAX).is_low());
        assert!(!Disk::new(Path::new("/no/such/folder"), u64::MAX).is_low(), "nobody knows");
        let space = Disk::new(folder.path(), 7).space().unwrap();
        assert!(space.free_bytes > 0 && space.reserve_bytes == 7);
        std::fs::create_dir(folder.path().join("components")).unwrap();
        std::fs::write(folder.path().join("host.db-wal"), [0; 10]).unwrap();
        std::fs::write(folder.path().join("components/a.db-wal"), [0; 20]).unwrap();
        std::fs::write(folder.path().join("components/a.db"), [0; 40]).unwrap();
        assert_eq!(Disk::new(folder.path(), 7).space().unwrap().reserve_bytes, 37);
        assert_eq!(Disk::new(folder.path(), 0).space().unwrap().reserve_bytes, 0);
    }
}
