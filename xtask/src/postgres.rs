//! The PostgreSQL server that the tests start.

use std::fs;

use anyhow::{Result, bail};

use crate::debian;
use crate::process::find_program;
use crate::steps::Outcome;

const PACKAGE: &str = "postgresql";
/// The folder of Debian's PostgreSQL programs. It is not in `PATH`.
const VERSIONS: &str = "/usr/lib/postgresql";

/// Installs PostgreSQL if it is missing.
pub(crate) fn provide() -> Result<Outcome> {
    if !is_installed() && debian::may_install() {
        debian::install(&[PACKAGE]);
    }
    if !is_installed() {
        bail!(
            "the tests need PostgreSQL: run `apt-get install {PACKAGE}` on Debian as root, or run `cargo xtask test --embedded`, which does not need it"
        );
    }
    Ok(Outcome::Passed)
}

fn is_installed() -> bool {
    let mut versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    versions.any(|version| version.path().join("bin/initdb").is_file()) || find_program("initdb").is_some()
}
