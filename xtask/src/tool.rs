//! Programs and packages with pinned versions in `target/tools`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{find_program, print_status, run};
use crate::workspace::Workspace;

/// A tool that is installed into a folder of its own.
pub(crate) struct Tool {
    /// The name and the version. They are also the name of its folder.
    pub(crate) name: &'static str,
    /// The programs that the tool needs.
    pub(crate) needs: &'static [&'static str],
    pub(crate) install: fn(&Path) -> Result<()>,
}

impl Tool {
    /// Returns the folder of the tool. Installs the tool if it is missing.
    pub(crate) fn provide(&self, workspace: &Workspace) -> Result<PathBuf> {
        let folder = workspace.tools_folder().join(self.name);
        let complete = folder.join("complete");
        if complete.is_file() {
            return Ok(folder);
        }
        if let Some(missing) = self.needs.iter().find(|program| find_program(program).is_none()) {
            bail!("{missing} is not installed; {} needs {}", self.name, self.needs.join(" and "));
        }
        print_status(&format!("Installing {} into {}", self.name, workspace.display(&folder)));
        fs::create_dir_all(&folder)?;
        (self.install)(&folder).with_context(|| format!("cannot install {}", self.name))?;
        fs::write(complete, "")?;
        Ok(folder)
    }
}

/// Installs packages from npm, each as `NAME@VERSION`.
pub(crate) fn npm_install(folder: &Path, packages: &[&str]) -> Result<()> {
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]).arg(folder);
    run(npm.args(packages))
}
