//! Changes of files, for the commands that wait for them.

use super::failure::Failure;
use notify_debouncer_mini::{
    DebounceEventResult, Debouncer, new_debouncer,
    notify::{RecommendedWatcher, RecursiveMode},
};
use std::{path::Path, time::Duration};
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// Writes within this time count as one change.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Sends a message for each change of a file in these folders that is one of
/// ours. It ends with the watcher. Reading a file counts as a change too.
pub(crate) fn changes<'a>(
    folders: impl IntoIterator<Item = &'a Path>,
    is_ours: impl Fn(&Path) -> bool + Send + 'static,
) -> Result<(Debouncer<RecommendedWatcher>, UnboundedReceiver<()>), Failure> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let watcher = new_debouncer(DEBOUNCE, move |events: DebounceEventResult| {
        if events.is_ok_and(|events| events.iter().any(|event| is_ours(&event.path))) {
            // The receiver is gone when the command ends.
            let _ = sender.send(());
        }
    });
    let mut watcher = watcher.map_err(|error| Failure::Failed(format!("files cannot be watched: {error}")))?;
    for folder in folders {
        let watched = watcher.watcher().watch(folder, RecursiveMode::NonRecursive);
        watched.map_err(|error| Failure::Failed(format!("{} cannot be watched: {error}", folder.display())))?;
    }
    Ok((watcher, receiver))
}

/// The folder of a file.
pub(crate) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
