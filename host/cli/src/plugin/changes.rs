//! Messages about changes of files, for the commands that wait for them.

use super::failure::Failure;
use notify_debouncer_mini::{
    DebounceEventResult, Debouncer, new_debouncer,
    notify::{RecommendedWatcher, RecursiveMode},
};
use std::{ffi::OsStr, path::Path, time::Duration};
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// Writes within this time count as one change.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Watches folders until it is dropped.
pub(crate) struct Changes {
    watcher: Debouncer<RecommendedWatcher>,
    messages: UnboundedReceiver<()>,
}

impl Changes {
    /// The changes of the files that `is_ours` accepts, in no folder yet.
    pub(crate) fn new(is_ours: impl Fn(&Path) -> bool + Send + 'static) -> Result<Self, Failure> {
        let (sender, messages) = mpsc::unbounded_channel();
        let watcher = new_debouncer(DEBOUNCE, move |events: DebounceEventResult| {
            if events.is_ok_and(|events| events.iter().any(|event| is_ours(&event.path))) {
                // The receiver is gone when the command ends.
                let _ = sender.send(());
            }
        });
        let watcher = watcher.map_err(|error| Failure::Failed(format!("no file can be watched: {error}")))?;
        Ok(Self { watcher, messages })
    }

    /// The changes of one file. The file's folder is watched, because a build
    /// replaces the file.
    pub(crate) fn of_file(file: &Path) -> Result<Self, Failure> {
        let name = file.file_name().map(OsStr::to_owned);
        let mut changes = Self::new(move |path| path.file_name() == name.as_deref())?;
        changes.watch(folder_of(file), RecursiveMode::NonRecursive)?;
        Ok(changes)
    }

    /// Watches another folder.
    pub(crate) fn watch(&mut self, folder: &Path, mode: RecursiveMode) -> Result<(), Failure> {
        let watched = self.watcher.watcher().watch(folder, mode);
        watched.map_err(|error| Failure::Failed(format!("{} cannot be watched: {error}", folder.display())))
    }

    /// Waits for the next message. A read of a file is one too.
    pub(crate) async fn next(&mut self) -> Result<(), Failure> {
        let stopped = || Failure::Failed("the command can no longer watch the files".to_owned());
        self.messages.recv().await.ok_or_else(stopped)
    }
}

/// The folder of a file.
pub(crate) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
