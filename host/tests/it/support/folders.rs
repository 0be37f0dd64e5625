//! Folders with everything below them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};
use walkdir::WalkDir;

/// All files below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = WalkDir::new(folder).into_iter().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

/// Copies a folder without the files and folders that have one of these names.
/// The copies keep their modification times, so that cargo sees which files have
/// not changed.
pub(crate) fn copy_folder(from: &Path, to: &Path, except: &[&str]) {
    let is_wanted = |entry: &walkdir::DirEntry| except.iter().all(|name| entry.file_name() != *name);
    for entry in WalkDir::new(from).into_iter().filter_entry(is_wanted).map(Result::unwrap) {
        let copy = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(copy).unwrap();
        } else {
            fs::copy(entry.path(), &copy).unwrap();
            let modified = entry.metadata().unwrap().modified().unwrap();
            File::options().write(true).open(copy).unwrap().set_modified(modified).unwrap();
        }
    }
}
