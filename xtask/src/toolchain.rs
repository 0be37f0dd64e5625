//! The toolchain that compiles the guests.
//!
//! The compiler of the workspace compiles them if it has a standard library for
//! [`TARGET`], or if rustup can download one. Some machines reach only Debian's
//! packages and crates.io. There Debian's compiler builds the standard library
//! from its sources. This program installs Debian's compiler if it may.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use semver::{Version, VersionReq};

use crate::debian;
use crate::process::{find_program, output_of, print_status, succeeds_within};

/// The compilation target of guests.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// The compilation target of the plugins that are components of `wasi:http`.
pub(crate) const WASI_TARGET: &str = "wasm32-wasip2";

/// Debian's compiler. Another compiler may come first in `PATH`.
const DEBIAN_COMPILER: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
/// The time limit of rustup. It downloads about 20 MB.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// A way to compile guests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Toolchain {
    /// The workspace's compiler has the target's standard library.
    Installed,
    /// Debian's compiler builds the target's standard library from its sources.
    DebianSources,
}

/// The compilers and installers on this machine.
#[derive(Clone, Copy, Default)]
struct Machine {
    target_installed: bool,
    rustup: bool,
    debian_sources: bool,
    apt_as_root: bool,
}

/// The attempts that have not made a toolchain available.
#[derive(Clone, Copy, Default)]
struct FailedAttempts {
    rustup: bool,
    /// An attempt in an earlier run.
    rustup_before: bool,
    apt: bool,
}

#[derive(Debug, PartialEq)]
enum Action {
    Use(Toolchain),
    AddTarget,
    InstallPackages,
    GiveUp,
}

impl Toolchain {
    /// Finds a toolchain, or installs one. A file in `folder` records that rustup
    /// failed, for later runs.
    pub(crate) fn find(folder: &Path) -> Result<Self> {
        let marker = folder.join("rustup-cannot-add-the-target");
        let mut failed = FailedAttempts { rustup_before: marker.exists(), ..FailedAttempts::default() };
        loop {
            match next_action(Machine::detect(), failed) {
                Action::Use(toolchain) => return Ok(toolchain),
                Action::AddTarget => {
                    print_status(&format!("Adding the target {TARGET} with rustup"));
                    failed.rustup = true;
                    if !succeeds_within(Command::new("rustup").args(["target", "add", TARGET]), RUSTUP_LIMIT) {
                        print_status(&format!("rustup cannot add the target {TARGET} here"));
                        fs::create_dir_all(folder)?;
                        fs::write(&marker, "")?;
                    }
                }
                Action::InstallPackages => {
                    failed.apt = true;
                    debian::install(&DEBIAN_PACKAGES);
                }
                Action::GiveUp => bail!(
                    "no compiler here can compile guests: run `rustup target add {TARGET}`, or `apt-get install {}` on Debian as root",
                    DEBIAN_PACKAGES.join(" ")
                ),
            }
        }
    }

    /// Makes a `cargo build` compile for [`TARGET`].
    pub(crate) fn apply(self, cargo: &mut Command) {
        cargo.args(["--target", TARGET]).envs(self.environment());
    }

    /// The variables with which a cargo that compiles for [`TARGET`] uses this toolchain.
    pub(crate) fn environment(self) -> Vec<(&'static str, OsString)> {
        match self {
            Toolchain::Installed => Vec::new(),
            Toolchain::DebianSources => {
                let mut variables = vec![
                    ("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort".into()),
                    ("RUSTC", DEBIAN_COMPILER.into()),
                    ("RUSTC_BOOTSTRAP", "1".into()),
                ];
                if find_program("rust-lld").is_none() {
                    variables.extend(path_with_linker().map(|path| ("PATH", path)));
                }
                variables
            }
        }
    }

    /// Whether it compiles for [`WASI_TARGET`]. The sources contain no C library, which this target needs.
    pub(crate) fn has_wasi_target(self) -> bool {
        self == Toolchain::Installed && target_installed(WASI_TARGET)
    }

    /// The description for status lines.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Toolchain::Installed => "the workspace's compiler",
            Toolchain::DebianSources => "Debian's compiler and sources",
        }
    }
}

/// The next action towards a toolchain. It prefers the workspace's compiler, and
/// changes the machine last.
fn next_action(machine: Machine, failed: FailedAttempts) -> Action {
    let skip_rustup = failed.rustup || (failed.rustup_before && machine.debian_sources);
    if machine.target_installed {
        Action::Use(Toolchain::Installed)
    } else if machine.rustup && !skip_rustup {
        Action::AddTarget
    } else if machine.debian_sources {
        Action::Use(Toolchain::DebianSources)
    } else if machine.apt_as_root && !failed.apt {
        Action::InstallPackages
    } else {
        Action::GiveUp
    }
}

impl Machine {
    fn detect() -> Self {
        Self {
            target_installed: target_installed(TARGET),
            rustup: find_program("rustup").is_some(),
            debian_sources: debian_sources(),
            apt_as_root: debian::may_install(),
        }
    }
}

/// Adds the target of components of `wasi:http` with rustup, if it is missing.
/// Returns false if that is not possible. No compiler builds it from sources.
pub(crate) fn add_wasi_target() -> bool {
    if target_installed(WASI_TARGET) {
        return true;
    }
    print_status(&format!("Adding the target {WASI_TARGET} with rustup"));
    succeeds_within(Command::new("rustup").args(["target", "add", WASI_TARGET]), RUSTUP_LIMIT)
}

fn target_installed(target: &str) -> bool {
    output_of(Command::new(compiler()).args(["--print", "target-libdir", "--target", target]))
        .is_some_and(|folder| Path::new(&folder).is_dir())
}

/// Whether Debian's compiler and its sources are installed, and are new enough.
fn debian_sources() -> bool {
    let Some(version) = output_of(Command::new(DEBIAN_COMPILER).arg("--version")) else {
        return false;
    };
    let Some(sysroot) = sysroot(DEBIAN_COMPILER.as_ref()) else {
        return false;
    };
    is_at_least(&version, env!("CARGO_PKG_RUST_VERSION"))
        && sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file()
}

/// Whether a line such as `rustc 1.96.0 (ac68faa20 2026-05-25)` has the wanted
/// version or a later one.
fn is_at_least(line: &str, wanted: &str) -> bool {
    let found = line.split_whitespace().nth(1).and_then(|version| Version::parse(version).ok());
    let wanted = VersionReq::parse(&format!(">={wanted}")).ok();
    found.zip(wanted).is_some_and(|(found, wanted)| wanted.matches(&found))
}

/// `PATH`, and the folder with the `rust-lld` of rustup's compiler. Debian's
/// compiler may have none.
fn path_with_linker() -> Option<OsString> {
    let host = host_target().ok()?;
    let tools = sysroot(&compiler())?.join("lib/rustlib").join(host).join("bin");
    let folders = env::var_os("PATH").unwrap_or_default();
    env::join_paths(env::split_paths(&folders).chain([tools])).ok()
}

/// The default target of the workspace's compiler.
pub(crate) fn host_target() -> Result<String> {
    output_of(Command::new(compiler()).args(["--print", "host-tuple"])).context("rustc does not print its host target")
}

fn sysroot(compiler: &Path) -> Option<PathBuf> {
    output_of(Command::new(compiler).args(["--print", "sysroot"])).map(PathBuf::from)
}

/// The workspace's compiler.
fn compiler() -> PathBuf {
    env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that has no toolchain, but can install one in every way.
    const EMPTY: Machine = Machine { target_installed: false, rustup: true, debian_sources: false, apt_as_root: true };

    #[test]
    fn an_installed_target_is_used_as_it_is() {
        let machine = Machine { target_installed: true, debian_sources: true, ..EMPTY };
        assert_eq!(next_action(machine, FailedAttempts::default()), Action::Use(Toolchain::Installed));
    }

    #[test]
    fn rustup_comes_before_debian() {
        let machine = Machine { debian_sources: true, ..EMPTY };
        assert_eq!(next_action(machine, FailedAttempts::default()), Action::AddTarget);
        assert_eq!(
            next_action(machine, FailedAttempts { rustup: true, ..FailedAttempts::default() }),
            Action::Use(Toolchain::DebianSources)
        );
    }

    #[test]
    fn rustup_is_skipped_if_it_failed_before_and_debian_has_the_sources() {
        let before = FailedAttempts { rustup_before: true, ..FailedAttempts::default() };
        let machine = Machine { debian_sources: true, ..EMPTY };
        assert_eq!(next_action(machine, before), Action::Use(Toolchain::DebianSources));
        assert_eq!(next_action(EMPTY, before), Action::AddTarget);
    }

    #[test]
    fn packages_are_installed_if_rustup_cannot_help() {
        let refused = FailedAttempts { rustup: true, ..FailedAttempts::default() };
        assert_eq!(next_action(EMPTY, refused), Action::InstallPackages);
        let without_rustup = Machine { rustup: false, ..EMPTY };
        assert_eq!(next_action(without_rustup, FailedAttempts::default()), Action::InstallPackages);
        let installed = Machine { debian_sources: true, ..EMPTY };
        assert_eq!(
            next_action(installed, FailedAttempts { apt: true, ..refused }),
            Action::Use(Toolchain::DebianSources)
        );
    }

    #[test]
    fn it_gives_up_after_all_attempts_or_if_it_may_do_nothing() {
        assert_eq!(next_action(EMPTY, FailedAttempts { rustup: true, rustup_before: true, apt: true }), Action::GiveUp);
        assert_eq!(next_action(Machine::default(), FailedAttempts::default()), Action::GiveUp);
    }

    #[test]
    fn an_old_compiler_does_not_count() {
        assert!(is_at_least("rustc 1.96.0 (ac68faa20 2026-05-25)", "1.95"));
        assert!(is_at_least("rustc 1.95.0", "1.95"));
        assert!(!is_at_least("rustc 1.63.0 (4b91a6ea7 2022-08-08)", "1.95"));
        assert!(!is_at_least("nonsense", "1.95"));
    }

    #[test]
    fn debian_sources_build_the_standard_library() {
        let mut cargo = Command::new("cargo");
        Toolchain::DebianSources.apply(&mut cargo);
        let arguments: Vec<_> = cargo.get_args().collect();
        assert_eq!(arguments, ["--target", TARGET]);
        let build_std = cargo.get_envs().find(|(name, _)| *name == "CARGO_UNSTABLE_BUILD_STD");
        assert_eq!(build_std.unwrap().1, Some("std,panic_abort".as_ref()));
    }
}
