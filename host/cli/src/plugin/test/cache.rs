//! The folder with compiled code, which lasts from one run of the tests to the next. An interpreter
//! takes long to compile.

use rustix::process::geteuid;
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The number of files that stay. Each build of a plugin makes another one.
const KEPT_FILES: usize = 20;

/// The folder. None if there is no place for it.
pub(super) fn folder() -> Option<PathBuf> {
    let folder = dirs::cache_dir()?.join("ticketing");
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    if !is_own(&folder) {
        return None;
    }
    // An old file that stays does no harm.
    let _ = remove_old(&folder);
    Some(folder)
}

/// Whether only this account can write in the folder. The host runs the code that is there.
fn is_own(folder: &Path) -> bool {
    let is_own = |folder: fs::Metadata| folder.uid() == geteuid().as_raw() && folder.mode() & 0o022 == 0;
    fs::metadata(folder).is_ok_and(is_own)
}

/// Removes the oldest files.
fn remove_old(folder: &Path) -> io::Result<()> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort_by(|one, other| other.cmp(one));
    for (_, file) in files.into_iter().skip(KEPT_FILES) {
        fs::remove_file(file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    #[test]
    fn a_folder_in_which_others_can_write_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, own) in [(0o700, true), (0o755, true), (0o775, false), (0o777, false), (0o1777, false)] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_own(folder.path()), own, "{mode:o}");
        }
        assert!(!is_own(&folder.path().join("absent")));
    }

    #[test]
    fn the_newest_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        for age in 0..25 {
            let file = fs::File::create(folder.path().join(age.to_string())).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        remove_old(folder.path()).unwrap();
        let stays = |age: usize| folder.path().join(age.to_string()).exists();
        assert!((0..KEPT_FILES).all(stays) && !(KEPT_FILES..25).any(stays));
    }
}
