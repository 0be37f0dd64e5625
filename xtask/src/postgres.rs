//! The PostgreSQL that the tests start for themselves.

use std::fs;

use anyhow::{Result, bail};

use crate::debian;
use crate::process::on_path;
use crate::steps::Outcome;

const PACKAGE: &str = "postgresql";
/// Where Debian keeps what makes and runs a server, off the path.
const VERSIONS: &str = "/usr/lib/postgresql";

/// Sees to it that there is one.
pub(crate) fn provide() -> Result<Outcome> {
    if !is_there() && debian::may_install() {
        debian::install(&[PACKAGE]);
    }
    if !is_there() {
        bail!(
            "no PostgreSQL for the tests: on Debian, as root, `apt-get install {PACKAGE}`; or do without with `cargo xtask test --embedded`"
        );
    }
    Ok(Outcome::Passed)
}

fn is_there() -> bool {
    let mut versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    versions.any(|version| version.path().join("bin/initdb").is_file()) || on_path("initdb").is_some()
}
