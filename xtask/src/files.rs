//! All files of a folder and of the folders in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use walkdir::{DirEntry, WalkDir};

/// Folders without files of the repository.
const NOT_OURS: [&str; 4] = [".git", "target", "data", "node_modules"];

/// Whether the repository can have a folder of this name.
pub(crate) fn is_ours(name: &OsStr) -> bool {
    NOT_OURS.iter().all(|other| name != *other)
}

/// The files below a folder, sorted. Skips folders that only builds and hosts
/// write to.
pub(crate) fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_wanted = |entry: &DirEntry| entry.depth() == 0 || !entry.file_type().is_dir() || is_ours(entry.file_name());
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(is_wanted) {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if !entry.file_type().is_dir() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_sorted_and_results_of_builds_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/2.md", "b/1.md", "a.rs", "target/x.md", "b/node_modules/y.md"] {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let found = below(folder.path()).unwrap();
        assert_eq!(found, ["a.rs", "b/1.md", "b/2.md"].map(|name| folder.path().join(name)));
        assert!(below(&folder.path().join("absent")).is_err());
    }
}
