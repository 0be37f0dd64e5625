//! The source files in a plugin's folder, and their changes.

use super::{changes::Changes, failure::Failure, files::file_failure};
use notify_debouncer_mini::notify::RecursiveMode;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Folders with the results of builds, with packages, and with the data of a host.
const WITHOUT_SOURCES: [&str; 4] = ["target", "node_modules", "__pycache__", "data"];
/// Files that builds write.
const WRITTEN_BY_BUILDS: [&str; 2] = ["Cargo.lock", "package-lock.json"];

/// The time and the size of each source file.
pub(super) type State = BTreeMap<PathBuf, (SystemTime, u64)>;

/// The source files below a folder.
pub(super) struct Sources {
    folder: PathBuf,
    changes: Changes,
    watched: BTreeSet<PathBuf>,
}

impl Sources {
    /// Watches the files in a folder.
    ///
    /// # Errors
    /// If the folder cannot be read or watched.
    pub(super) fn watch(folder: &Path) -> Result<Self, Failure> {
        let folder = folder.canonicalize().map_err(|error| file_failure(folder, &error))?;
        let root = folder.clone();
        let is_ours = move |path: &Path| path.strip_prefix(&root).is_ok_and(|path| path.iter().all(is_source));
        let mut sources = Self { changes: Changes::new(is_ours)?, watched: BTreeSet::new(), folder };
        sources.changes.watch(&sources.folder, RecursiveMode::NonRecursive)?;
        sources.watch_folders()?;
        Ok(sources)
    }

    /// The present state of all files.
    pub(super) fn state(&self) -> State {
        let mut state = State::new();
        collect(&self.folder, &mut state);
        state
    }

    /// Waits until the files have another state than this one.
    pub(super) async fn changed(&mut self, from: &State) -> Result<State, Failure> {
        loop {
            let state = self.state();
            if state != *from {
                return Ok(state);
            }
            self.changes.next().await?;
            self.watch_folders()?;
        }
    }

    /// Watches the folders that are new. Folders without sources can be large, so
    /// they are not watched.
    fn watch_folders(&mut self) -> Result<(), Failure> {
        let entries = fs::read_dir(&self.folder).map_err(|error| file_failure(&self.folder, &error))?;
        let folders = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir());
        let folders: BTreeSet<_> = folders.filter(|path| path.file_name().is_some_and(is_source)).collect();
        for folder in folders.difference(&self.watched) {
            match self.changes.watch(folder, RecursiveMode::Recursive) {
                // It has disappeared meanwhile.
                Err(_) if !folder.is_dir() => {}
                watched => watched?,
            }
        }
        self.watched = folders;
        Ok(())
    }
}

/// Adds the source files below a folder. A file or folder that disappears
/// meanwhile, or cannot be read, is left out.
fn collect(folder: &Path, state: &mut State) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok).filter(|entry| is_source(&entry.file_name())) {
        let path = entry.path();
        let Ok(metadata) = path.metadata() else { continue };
        if metadata.is_dir() {
            collect(&path, state);
        } else if let Ok(modified) = metadata.modified() {
            state.insert(path, (modified, metadata.len()));
        }
    }
}

/// Whether a file or folder of this name has sources, and is neither the result of
/// a build nor a temporary file of an editor. Vim writes a file named `4913` as a test.
fn is_source(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_temporary = name.starts_with('.') || name.ends_with('~') || name == "4913";
    let is_built = name.ends_with(".wasm") || name.ends_with(".unfinished");
    let is_listed = WITHOUT_SOURCES.iter().chain(&WRITTEN_BY_BUILDS).any(|listed| name == *listed);
    !is_temporary && !is_built && !is_listed
}

/// The newest time in a state.
pub(super) fn saved(state: &State) -> Option<SystemTime> {
    state.values().map(|(modified, _)| *modified).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_of_builds_and_temporary_files_are_no_sources() {
        for (name, expected) in [
            ("lib.rs", true),
            ("plugin.toml", true),
            ("0001_first.sql", true),
            (".lib.rs.swp", false),
            ("lib.rs~", false),
            ("hello.wasm", false),
            ("hello.unfinished", false),
            ("node_modules", false),
            (".venv", false),
        ] {
            assert_eq!(is_source(OsStr::new(name)), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn a_saved_source_is_a_change_and_the_result_of_a_build_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("plugin.toml", "");
        let mut sources = Sources::watch(folder.path()).unwrap();
        let first = sources.state();
        for built in ["target/release/hello.wasm", "hello.wasm", "Cargo.lock", "data/host.db"] {
            write(built, "built");
        }
        assert_eq!(sources.state(), first);
        let limit = Duration::from_secs(30);
        // A folder that is new is watched too.
        for text in ["one", "three"] {
            let before = sources.state();
            write("src/lib.rs", text);
            let after = tokio::time::timeout(limit, sources.changed(&before)).await.unwrap().unwrap();
            assert!(after.keys().any(|file| file.ends_with("src/lib.rs")), "{after:?}");
            assert!(saved(&after) >= saved(&before));
        }
    }
}
