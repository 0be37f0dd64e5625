//! Where the build puts what the benchmarks use.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// The host of the same build, which lies beside this program.
pub(crate) fn host() -> Result<PathBuf> {
    let path = env::current_exe()?.with_file_name("ticketing");
    ensure!(path.is_file(), "{} is missing: `cargo xtask bench` builds it", path.display());
    Ok(path)
}

/// A file of the target folder, such as `components/orders.wasm`.
pub(crate) fn file(name: &str) -> Result<PathBuf> {
    let path = target()?.join(name);
    ensure!(path.is_file(), "{} is missing: `cargo xtask bench` builds it", path.display());
    Ok(path)
}

/// A folder for temporary files, on the disk that has the build.
pub(crate) fn scratch() -> Result<PathBuf> {
    let path = target()?.join("tmp");
    fs::create_dir_all(&path)?;
    Ok(path)
}

fn target() -> Result<PathBuf> {
    let program = env::current_exe()?;
    Ok(program.ancestors().nth(2).context("the program is not in a target folder")?.to_owned())
}
