//! The servers that the tests start beside hosts: two proxies, and a registry of OCI.

use std::path::Path;

use anyhow::{Result, bail};

use crate::debian;
use crate::process::find_program;
use crate::steps::Outcome;

/// Each package has the program of its name.
const PACKAGES: [&str; 3] = ["nginx", "haproxy", "docker-registry"];
/// Debian's folder for servers. It is not in the `PATH` of every user.
const SERVERS: &str = "/usr/sbin";

/// Installs the servers that are missing.
pub(crate) fn provide() -> Result<Outcome> {
    let missing = missing();
    if !missing.is_empty() && debian::may_install() {
        debian::install(&missing);
    }
    if !self::missing().is_empty() {
        bail!(
            "the tests need nginx, HAProxy and a registry of OCI: run `apt-get install {}` on Debian as root, or run `cargo xtask test --embedded`, which does not need them",
            PACKAGES.join(" ")
        );
    }
    Ok(Outcome::Passed)
}

fn missing() -> Vec<&'static str> {
    let is_missing = |name: &&str| find_program(name).is_none() && !Path::new(SERVERS).join(name).is_file();
    PACKAGES.into_iter().filter(is_missing).collect()
}
