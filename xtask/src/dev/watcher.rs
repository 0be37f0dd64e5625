//! The watcher of source files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use notify_debouncer_mini::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_mini::{DebounceEventResult, Debouncer, new_debouncer};
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// Writes within this time count as one change.
const DEBOUNCE: Duration = Duration::from_millis(40);

/// Watches source files until it is dropped.
pub(super) struct SourceWatcher {
    _watcher: Debouncer<RecommendedWatcher>,
    changed: UnboundedReceiver<Vec<PathBuf>>,
    /// The newest modification time of a returned file.
    last_modified: SystemTime,
}

impl SourceWatcher {
    /// Watches these folders and their subfolders.
    pub(super) fn new(folders: &[PathBuf]) -> Result<Self> {
        let (sender, changed) = mpsc::unbounded_channel();
        let roots: Vec<PathBuf> = folders.to_vec();
        let is_watched = move |path: &Path| roots.iter().any(|root| path.starts_with(root) && is_source(root, path));
        let mut watcher = new_debouncer(DEBOUNCE, move |events: DebounceEventResult| {
            let paths = events.unwrap_or_default().into_iter().map(|event| event.path);
            let paths: Vec<_> = paths.filter(|path| is_watched(path)).collect();
            if !paths.is_empty() {
                // The receiver is gone when the command ends.
                let _ = sender.send(paths);
            }
        })?;
        for folder in folders {
            let watched = watcher.watcher().watch(folder, RecursiveMode::Recursive);
            watched.with_context(|| format!("cannot watch {}", folder.display()))?;
        }
        Ok(Self { _watcher: watcher, changed, last_modified: SystemTime::now() })
    }

    /// Waits for the next change. Returns the changed files and the newest
    /// modification time, or `None` if the watcher has stopped.
    pub(super) async fn next(&mut self) -> Option<(Vec<PathBuf>, SystemTime)> {
        loop {
            let mut paths = self.changed.recv().await?;
            while let Ok(more) = self.changed.try_recv() {
                paths.extend(more);
            }
            // A read by the compiler is an event too, and is not a change.
            paths.retain(|path| self.is_modified(path));
            let modified = paths.iter().filter_map(|path| path.metadata().ok()?.modified().ok()).max();
            if paths.is_empty() {
                continue;
            }
            let modified = modified.unwrap_or_else(SystemTime::now);
            self.last_modified = self.last_modified.max(modified);
            return Some((paths, modified));
        }
    }

    /// Whether the file was modified since the last change, or was deleted.
    fn is_modified(&self, path: &Path) -> bool {
        let Ok(metadata) = path.metadata() else { return true };
        metadata.is_file() && metadata.modified().is_ok_and(|modified| modified > self.last_modified)
    }
}

/// Whether a file is a source file, and not a temporary file of an editor or a
/// compiler. Vim writes a file named `4913` as a test.
fn is_source(root: &Path, path: &Path) -> bool {
    let below = path.strip_prefix(root).unwrap_or(path);
    let is_temporary = |part: &OsStr| {
        let part = part.to_string_lossy();
        part.starts_with('.') || part.ends_with('~') || part == "target" || part == "4913"
    };
    !below.iter().any(is_temporary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_of_editors_and_compilers_are_not_sources() {
        let root = Path::new("/srv/.cache/work");
        for (path, expected) in [
            ("components/tickets/src/lib.rs", true),
            ("components/tickets/migrations/0001.sql", true),
            ("components/tickets/src/.lib.rs.swp", false),
            ("components/tickets/src/lib.rs~", false),
            ("components/tickets/src/4913", false),
            ("components/tickets/target/debug/x", false),
        ] {
            assert_eq!(is_source(root, &root.join(path)), expected, "{path}");
        }
    }
}
