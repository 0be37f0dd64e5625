//! A machine whose clock can be set.

use super::Setup;
use std::{
    env,
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::PathBuf,
};
use tempfile::NamedTempFile;

/// The clock of the machine on which a host runs, as that host sees it.
pub(crate) struct MachineClock(NamedTempFile);

impl MachineClock {
    pub(crate) fn new() -> Self {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(&0_i64.to_le_bytes()).unwrap();
        Self(file)
    }

    /// Sets the clock this many hours ahead of the true time, or behind it.
    pub(crate) fn set(&self, hours: i64) {
        let file: &File = self.0.as_file();
        file.write_all_at(&(hours * 3_600).to_le_bytes(), 0).unwrap();
    }
}

impl Setup {
    /// Runs the host on a machine with this clock.
    pub(crate) fn on_machine_of(self, clock: &MachineClock) -> Self {
        let file = clock.0.path().display().to_string();
        self.variable("LD_PRELOAD", &library().display().to_string()).variable("SETTABLE_CLOCK", &file)
    }
}

/// The library to preload. Cargo builds it into the folder of the tests, because
/// they depend on its crate.
fn library() -> PathBuf {
    let folder = env::current_exe().unwrap().parent().unwrap().to_owned();
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libsettable_clock") && name.ends_with(".so")
    };
    let newest = files.filter(is_it).max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    newest.unwrap_or_else(|| panic!("the settable clock is not in {}", folder.display()))
}
