//! The program of a release. A first build counts which code is common under load. The
//! compiler learns from the counts: it optimises common code for speed, and keeps rare
//! code apart.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::COMPONENTS_MINUTES;
use crate::guests;
use crate::process::{output_of, print_status, run, succeeds_within};
use crate::stages::Stages;
use crate::workspace::{HostProfile, Workspace};

const PROFILE: HostProfile = HostProfile::Dist;
/// The time limit of rustup. It downloads about 30 MB.
const RUSTUP_LIMIT: Duration = Duration::from_secs(300);

/// Builds the program.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let compiler = Compiler::find()?;
    let counts = workspace.temporary_folder("counts");
    let profile = workspace.temporary_folder("release.profdata");
    let mut stages = Stages::new(5);
    let components_minutes = (!guests::are_built(workspace)).then_some(COMPONENTS_MINUTES);
    stages.run("Building the components", components_minutes, || guests::build_of_rust(workspace))?;

    let folder = workspace.folder_of_target(&compiler.target).join(PROFILE.name());
    let program = folder.join("ticketing");
    let minutes = (!program.is_file()).then_some(PROFILE.host_minutes());
    stages.run("Building a host that counts", minutes, || {
        run(&mut compiler.cargo(workspace, &format!("-Cprofile-generate={}", counts.display())))
    })?;
    let load = workspace.host_binary(HostProfile::Dev).with_file_name("benchmarks");
    let load_minutes = (!load.is_file()).then_some(HostProfile::Dev.host_minutes());
    stages
        .run("Building the load", load_minutes, || run(workspace.cargo().args(["build", "--package", "benchmarks"])))?;
    stages.run("Counting under load", None, || {
        if counts.exists() {
            fs::remove_dir_all(&counts)?;
        }
        run(Command::new(&load).arg("--train").arg(&program))?;
        run(Command::new(&compiler.profdata).arg("merge").arg("--output").arg(&profile).arg(&counts))
    })?;
    stages.run("Building the host", minutes, || {
        run(&mut compiler.cargo(workspace, &format!("-Cprofile-use={}", profile.display())))
    })?;

    let binary = workspace.host_binary(PROFILE);
    fs::create_dir_all(binary.parent().context("no folder")?)?;
    fs::copy(&program, &binary)?;
    print_status(&format!("Built {}", workspace.display(&binary)));
    Ok(())
}

/// The compiler, and the program that merges its counts.
struct Compiler {
    /// The target of the machine.
    target: String,
    profdata: PathBuf,
}

impl Compiler {
    fn find() -> Result<Self> {
        let version = output_of(Command::new("rustc").arg("-vV")).context("`rustc -vV` failed: install Rust")?;
        let target = target_in(&version).context("`rustc -vV` names no target")?.to_owned();
        let root = output_of(Command::new("rustc").args(["--print", "sysroot"])).context("rustc names no folder")?;
        let profdata = Path::new(&root).join("lib/rustlib").join(&target).join("bin/llvm-profdata");
        if !profdata.is_file() {
            print_status("Adding the tools of LLVM with rustup");
            succeeds_within(Command::new("rustup").args(["component", "add", "llvm-tools"]), RUSTUP_LIMIT);
        }
        ensure!(profdata.is_file(), "llvm-profdata is not installed: run `rustup component add llvm-tools`");
        Ok(Self { target, profdata })
    }

    /// A build of the host with this flag beside those of the environment. With a named target, the flags are not for
    /// build scripts and macros. Counts belong to the names of functions, which depend on the profile and on the
    /// features that all packages of the command need. So both builds have the same ones.
    fn cargo(&self, workspace: &Workspace, flag: &str) -> Command {
        let flags = env::var("RUSTFLAGS").unwrap_or_default();
        let mut cargo = workspace.cargo();
        cargo.args(["build", "--package", "ticketing", "--profile", PROFILE.name(), "--target", &self.target]);
        cargo.env("RUSTFLAGS", format!("{flags} {flag}").trim());
        cargo
    }
}

/// The target in the output of `rustc -vV`.
fn target_in(version: &str) -> Option<&str> {
    version.lines().find_map(|line| line.strip_prefix("host: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_that_of_the_compiler() {
        assert_eq!(
            target_in("rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0"),
            Some("x86_64-unknown-linux-gnu")
        );
        assert_eq!(target_in("rustc 1.95.0"), None);
    }
}
