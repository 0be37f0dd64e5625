//! Whether somebody has saved one of the files.

use crate::{
    apply::file::files_of,
    plugin::{
        changes::{Changes, folder_of},
        failure::Failure,
    },
};
use notify_debouncer_mini::notify::RecursiveMode;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, timeout_at};

/// The time and the size of a file. The watcher notices the reading of a file, and does
/// not notice the reading of these.
type Stamp = Option<(SystemTime, u64)>;

/// The files as they were, and a watcher of their folders.
pub(super) struct Saves {
    stamps: BTreeMap<PathBuf, Stamp>,
    changes: Changes,
}

impl Saves {
    /// Watches the file and the files that it names.
    pub(super) fn of(file: &Path) -> Result<Self, Failure> {
        let stamps: BTreeMap<PathBuf, Stamp> =
            files_of(file).into_iter().map(|file| (file.clone(), stamp(&file))).collect();
        let folders: BTreeSet<&Path> =
            stamps.keys().map(|file| folder_of(file)).filter(|folder| folder.is_dir()).collect();
        // A file may be a link, and the event then has the name of the folder behind it.
        let mut changes = Changes::new(|_| true)?;
        for folder in folders {
            changes.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(Self { stamps, changes })
    }

    /// Waits until somebody saves a file, for at most this time.
    pub(super) async fn within(&mut self, time: Duration) -> Result<bool, Failure> {
        let end = Instant::now() + time;
        loop {
            match timeout_at(end, self.changes.next()).await {
                Ok(seen) => {
                    seen?;
                    if self.are_saved() {
                        return Ok(true);
                    }
                }
                // Some file systems notify nobody.
                Err(_) => return Ok(self.are_saved()),
            }
        }
    }

    fn are_saved(&self) -> bool {
        self.stamps.iter().any(|(file, before)| stamp(file) != *before)
    }
}

fn stamp(file: &Path) -> Stamp {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_saved_file_is_told_from_one_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (file, plugin) = (folder.path().join("plugins.toml"), folder.path().join("a.wasm"));
        fs::write(&file, "[[plugin]]\nname = \"a\"\nfile = \"a.wasm\"\n").unwrap();
        fs::write(&plugin, "1").unwrap();
        let mut saves = Saves::of(&file).unwrap();
        fs::read(&plugin).unwrap();
        fs::write(folder.path().join("other"), "").unwrap();
        assert!(!saves.within(SHORT).await.unwrap());
        fs::write(&plugin, "22").unwrap();
        assert!(saves.within(LONG).await.unwrap());
    }

    #[tokio::test]
    async fn a_link_to_another_folder_counts_as_saved() {
        let folder = tempfile::tempdir().unwrap();
        for (version, text) in [("one", "a"), ("two", "longer")] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join("plugins.toml"), text).unwrap();
        }
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
        link("one", "data");
        link("data/plugins.toml", "plugins.toml");
        let mut saves = Saves::of(&folder.path().join("plugins.toml")).unwrap();
        link("two", "next");
        fs::rename(folder.path().join("next"), folder.path().join("data")).unwrap();
        assert!(saves.within(LONG).await.unwrap());
    }
}
