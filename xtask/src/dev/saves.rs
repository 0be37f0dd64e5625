//! What is saved below some folders.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use notify_debouncer_mini::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_mini::{DebounceEventResult, Debouncer, new_debouncer};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::affected::is_source;

/// What is written within this time is one save.
const QUIET: Duration = Duration::from_millis(40);

/// Watches for as long as it lives.
pub(super) struct Saves {
    _watcher: Debouncer<RecommendedWatcher>,
    changed: UnboundedReceiver<Vec<PathBuf>>,
    /// The time of the newest save that was handed out.
    last: SystemTime,
}

impl Saves {
    /// Watches these folders and all in them.
    pub(super) fn below(folders: &[PathBuf]) -> Result<Self> {
        let (sender, changed) = mpsc::unbounded_channel();
        let roots: Vec<PathBuf> = folders.to_vec();
        let is_ours = move |path: &Path| roots.iter().any(|root| path.starts_with(root) && is_source(root, path));
        let mut watcher = new_debouncer(QUIET, move |events: DebounceEventResult| {
            let paths = events.unwrap_or_default().into_iter().map(|event| event.path);
            let paths: Vec<_> = paths.filter(|path| is_ours(path)).collect();
            if !paths.is_empty() {
                // Nobody listens any more when the command ends.
                let _ = sender.send(paths);
            }
        })?;
        for folder in folders {
            let watched = watcher.watcher().watch(folder, RecursiveMode::Recursive);
            watched.with_context(|| format!("{} cannot be watched", folder.display()))?;
        }
        Ok(Self { _watcher: watcher, changed, last: SystemTime::now() })
    }

    /// The files of the next saves, and when the last of them was saved. None
    /// when nothing is watched any more.
    pub(super) async fn next(&mut self) -> Option<(Vec<PathBuf>, SystemTime)> {
        loop {
            let mut paths = self.changed.recv().await?;
            while let Ok(more) = self.changed.try_recv() {
                paths.extend(more);
            }
            // The compiler reads them, and that is an event too.
            paths.retain(|path| self.is_new(path));
            let saved = paths.iter().filter_map(|path| path.metadata().ok()?.modified().ok()).max();
            if paths.is_empty() {
                continue;
            }
            let saved = saved.unwrap_or_else(SystemTime::now);
            self.last = self.last.max(saved);
            return Some((paths, saved));
        }
    }

    /// Whether it was written since, or is gone.
    fn is_new(&self, path: &Path) -> bool {
        let Ok(metadata) = path.metadata() else { return true };
        metadata.is_file() && metadata.modified().is_ok_and(|modified| modified > self.last)
    }
}
