//! The build of a plugin in Go.

use super::{COMPONENT, not_started, run, tool, without_component};
use crate::plugin::{
    failure::Failure,
    files::{self, file_failure},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The oldest version of Go that compiles the template: `1.` and this number.
const OLDEST: u32 = 25;
const INSTALLATION: &str = "install Go 1.25 or later, see go.dev/dl";

/// Compiles the package `main` in a folder, and names the world of `wit/` in the
/// module. Returns the module.
pub(super) fn compile(folder: &Path) -> Result<PathBuf, Failure> {
    let module = without_component(folder)?;
    let version = go(folder).arg("version").stdout(Stdio::piped()).output();
    let version = version.map_err(|error| not_started(&go(folder), &error, INSTALLATION))?;
    require_version(&String::from_utf8_lossy(&version.stdout))?;
    let mut build = go(folder);
    // The bytes of the module depend neither on the folder nor on its repository.
    build.args(["build", "-trimpath", "-buildvcs=false"]);
    // The bindings call a function of Go's runtime by its name.
    build.args(["-buildmode=c-shared", "-ldflags=-checklinkname=0", "-o", COMPONENT, "."]);
    run(&mut build, INSTALLATION)?;
    let mut code = files::plugin(&module)?;
    let wit = folder.join("wit");
    plugin_pack::name_world(&mut code, &wit)
        .map_err(|error| Failure::Failed(format!("{}: {error:#}", wit.display())))?;
    fs::write(&module, code).map_err(|error| file_failure(&module, &error))?;
    Ok(module)
}

/// The installed Go. It makes WebAssembly, and downloads no other version of itself.
fn go(folder: &Path) -> Command {
    let mut go = tool("go", folder);
    go.envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOTOOLCHAIN", "local")]);
    go
}

/// Refuses a version that is too old, from the output of `go version`. A version of
/// another form is left to the compiler.
fn require_version(output: &str) -> Result<(), Failure> {
    match minor(output) {
        Some(minor) if minor < OLDEST => Err(Failure::Failed(format!("Go 1.{minor} is too old: {INSTALLATION}"))),
        _ => Ok(()),
    }
}

/// The number after `go1.`.
fn minor(output: &str) -> Option<u32> {
    let version = output.split_whitespace().find_map(|word| word.strip_prefix("go1."))?;
    version.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_go_is_refused_in_one_line() {
        for (output, expected) in [
            ("go version go1.27.3 linux/amd64\n", Some(27)),
            ("go version go1.25 darwin/arm64\n", Some(25)),
            ("go version go1.26rc1 linux/amd64\n", Some(26)),
            ("go version devel go1.28-0a1b2c3 Mon Nov 30 06:00:00 2026 +0000 linux/amd64\n", Some(28)),
            ("go version devel +0a1b2c3 linux/amd64\n", None),
        ] {
            assert_eq!(minor(output), expected, "{output}");
            assert!(require_version(output).is_ok(), "{output}");
        }
        let old = require_version("go version go1.24.11 linux/amd64\n").unwrap_err().to_string();
        assert_eq!(old, "Go 1.24 is too old: install Go 1.25 or later, see go.dev/dl");
    }
}
