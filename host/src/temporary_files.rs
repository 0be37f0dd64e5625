//! The place for temporary files. SQLite writes there when it sorts more than it
//! holds in memory, and chooses the place itself. Without a place such a statement
//! would fail long after the start.

use anyhow::{Context, bail};
use rustix::fs::{Access, access};
use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// As SQLite's documentation lists them ("Temporary Files Used By SQLite").
const VARIABLES: [&str; 2] = ["SQLITE_TMPDIR", "TMPDIR"];
const FOLDERS: [&str; 4] = ["/var/tmp", "/usr/tmp", "/tmp", "."];
/// The least room for a sort.
const NEEDED_BYTES: usize = 1 << 20;

/// Checks that SQLite finds a folder and that the folder has room.
///
/// # Errors
/// Names the folder and the cure.
pub fn check() -> anyhow::Result<()> {
    let named = VARIABLES.iter().filter_map(env::var_os).map(PathBuf::from);
    first_writable(named.chain(FOLDERS.map(PathBuf::from)))
}

fn first_writable(folders: impl Iterator<Item = PathBuf>) -> anyhow::Result<()> {
    let is_usable = |folder: &PathBuf| folder.is_dir() && access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    let Some(folder) = folders.into_iter().find(is_usable) else {
        bail!(
            "the host finds no place for temporary files: make {} writable, or set TMPDIR to a folder that is",
            FOLDERS.join(" or ")
        );
    };
    let shown = folder.display().to_string();
    write_to(&folder).with_context(|| {
        format!(
            "the folder for temporary files, {shown}, has no room: free some space, or set TMPDIR to another folder"
        )
    })
}

/// The file has no name, so it is gone afterwards.
fn write_to(folder: &Path) -> io::Result<()> {
    tempfile::tempfile_in(folder)?.write_all(&vec![0; NEEDED_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_can_be_written_counts() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = || [PathBuf::from("/proc/nothing"), PathBuf::from("/dev/null")].into_iter();
        first_writable(nothing().chain([folder.path().to_owned()])).unwrap();
        let refusal = first_writable(nothing()).unwrap_err().to_string();
        assert!(refusal.contains("set TMPDIR"), "{refusal}");
    }
}
