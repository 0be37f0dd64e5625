//! The data directory. One host at a time uses it, and can write to it.
//!
//! The host locks the directory itself, not a file in it. So the lock holds
//! whichever path leads to the directory, and nobody can delete it. The system
//! releases it when the process ends, for any reason.

use anyhow::{Context, bail};
use rustix::{
    fs::{Access, access},
    io::Errno,
    process::geteuid,
};
use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process,
};

/// The file that names the process with the lock, for people.
const OWNER_FILE: &str = "host.lock";
/// The room that the host and its files need at once, and the room that they
/// need at the first start.
const NEEDED_BYTES: usize = 1 << 20;
const NEEDED_BYTES_AT_FIRST: usize = 16 << 20;
/// The folders of the host in the directory.
const FOLDERS: [&str; 3] = ["cache", "components", "plugins"];

/// The data directory of this process. It is locked for as long as this value
/// lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Locks the directory. None if it does not exist.
    ///
    /// # Errors
    /// Another process has it, or it cannot be opened.
    pub fn lock_existing(path: &Path) -> anyhow::Result<Option<Self>> {
        let directory = match File::open(path) {
            Ok(directory) => directory,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => bail!(explained(path, path, &error)),
        };
        if !directory.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            bail!("the data directory {} is a file: choose a directory (TICKETING_DATA_DIR)", path.display());
        }
        let lock = match directory.try_lock() {
            Ok(()) => directory,
            Err(TryLockError::WouldBlock) => return Err(in_use(path)),
            // Some network file systems lock files alone.
            Err(TryLockError::Error(_)) => lock_file(path)?,
        };
        Ok(Some(Self { path: path.to_owned(), _lock: lock }))
    }

    /// Creates the directory and locks it. Only its owner can read it.
    ///
    /// # Errors
    /// It cannot be created, or another process was faster.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
        created.map_err(|error| anyhow::anyhow!("the data directory {} cannot be made: {error}", path.display()))?;
        let locked = Self::lock_existing(path)?;
        locked.with_context(|| format!("the data directory {} is gone again", path.display()))
    }

    /// Checks that the host can write to its files and that the disk has room,
    /// and writes the name of this process into the directory.
    ///
    /// # Errors
    /// Names the first file that the host cannot write to, the reason, and the
    /// cure.
    pub fn prepare(&self, host: &str) -> anyhow::Result<()> {
        for path in [vec![self.path.clone()], self.own_files()].concat() {
            let needed = if path.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
            if let Err(error) = access(&path, needed | Access::READ_OK)
                && error != Errno::NOENT
            {
                bail!(explained(&self.path, &path, &error.into()));
            }
        }
        let written = self
            .write_as_much_as_needed()
            .and_then(|()| fs::write(self.path.join(OWNER_FILE), format!("process {} on {host}\n", process::id())));
        written.map_err(|error| anyhow::anyhow!(explained(&self.path, &self.path, &error)))
    }

    /// The files and folders that an earlier start has made.
    fn own_files(&self) -> Vec<PathBuf> {
        let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_own = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            FOLDERS.contains(&&*name) || name == OWNER_FILE || name.contains(".db")
        };
        let databases = entries(&self.path.join("components"));
        entries(&self.path).chain(databases).filter(is_own).collect()
    }

    /// The file has no name, so it is gone afterwards.
    fn write_as_much_as_needed(&self) -> io::Result<()> {
        let is_first_start = !self.path.join("host.db").exists();
        let bytes = if is_first_start { NEEDED_BYTES_AT_FIRST } else { NEEDED_BYTES };
        let mut file = tempfile::tempfile_in(&self.path)?;
        file.write_all(&vec![0; bytes])?;
        file.sync_data()
    }
}

/// Locks a file in the directory.
fn lock_file(path: &Path) -> anyhow::Result<File> {
    let file = path.join(OWNER_FILE);
    let opened = File::options().create(true).truncate(false).write(true).open(&file);
    let opened = opened.map_err(|error| anyhow::anyhow!(explained(path, &file, &error)))?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => Err(in_use(path)),
        Err(TryLockError::Error(error)) => {
            bail!("the data directory {} cannot be locked: {error}; choose one on a local disk", path.display())
        }
    }
}

fn in_use(path: &Path) -> anyhow::Error {
    let named = fs::read_to_string(path.join(OWNER_FILE)).map(|text| text.trim().to_owned());
    let named = named.ok().filter(|owner| !owner.is_empty()).or_else(|| lock_holder(path));
    let owner = named.unwrap_or_else(|| "another process".to_owned());
    let path = path.display();
    anyhow::anyhow!(
        "the data directory {path} is in use by {owner}: stop that process, or choose another directory (TICKETING_DATA_DIR)"
    )
}

/// The process that holds the lock of a directory, as Linux lists it. None if it
/// runs on another machine or in another container.
fn lock_holder(directory: &Path) -> Option<String> {
    let inode = format!(":{}", fs::metadata(directory).ok()?.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [_, "FLOCK", _, "WRITE", process, file, ..] if file.ends_with(&inode) => Some(format!("process {process}")),
        _ => None,
    })
}

/// The reason why a file of the data directory cannot be used, and the cure.
fn explained(directory: &Path, file: &Path, error: &io::Error) -> String {
    let shown = match file == directory {
        true => format!("its data directory {}", directory.display()),
        false => format!("{} in its data directory", file.display()),
    };
    let directory = directory.display();
    let me = geteuid().as_raw();
    let cure = match (error.kind(), fs::metadata(file).map(|metadata| metadata.uid())) {
        (ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge, _) => {
            "free some space, or choose a directory on another disk (TICKETING_DATA_DIR)".to_owned()
        }
        (ErrorKind::ReadOnlyFilesystem, _) => {
            "mount the disk so that the host can write, or choose another directory (TICKETING_DATA_DIR)".to_owned()
        }
        (_, Ok(owner)) if owner != me => format!(
            "it belongs to user {owner} and the host runs as user {me}: run `chown -R {me} {directory}`, or run the host as user {owner}"
        ),
        _ => format!("allow user {me} to read and write it, or choose another directory (TICKETING_DATA_DIR)"),
    };
    format!("the host cannot use {shown}: {error}; {cure}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn refusal(path: &Path) -> String {
        DataDir::lock_existing(path).unwrap_err().to_string()
    }

    #[test]
    fn one_process_has_the_directory_whichever_path_leads_to_it() {
        let parent = tempfile::tempdir().unwrap();
        let (path, link) = (parent.path().join("data"), parent.path().join("link"));
        assert!(DataDir::lock_existing(&path).unwrap().is_none());
        let held = DataDir::create(&path).unwrap();
        held.prepare("this machine").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        symlink(&path, &link).unwrap();
        let names = format!("in use by process {} on this machine", process::id());
        for other in [path.clone(), link, parent.path().join("data/../data/.")] {
            assert!(refusal(&other).contains(&names), "{}", refusal(&other));
        }
        fs::remove_file(path.join(OWNER_FILE)).unwrap();
        let holder = format!("in use by process {}:", process::id());
        assert!(refusal(&path).contains(&holder), "a deleted file changes nothing: {}", refusal(&path));
        drop(held);
        assert!(DataDir::lock_existing(&path).unwrap().is_some());
    }

    #[test]
    fn a_refusal_names_the_directory_and_the_cure() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(refusal(&file).contains("is a file: choose a directory"));
        let below_a_file = DataDir::create(&file.join("data")).unwrap_err().to_string();
        assert!(below_a_file.contains("cannot be made"), "{below_a_file}");
        let full = explained(parent.path(), &file, &io::Error::from(ErrorKind::StorageFull));
        assert!(full.contains("free some space"), "{full}");
        let read_only = explained(parent.path(), &file, &io::Error::from(ErrorKind::ReadOnlyFilesystem));
        assert!(read_only.contains("mount the disk"), "{read_only}");
        let strange = explained(parent.path(), Path::new("/proc/self/nothing"), &io::Error::from(ErrorKind::NotFound));
        assert!(strange.contains("allow user"), "{strange}");
    }
}
