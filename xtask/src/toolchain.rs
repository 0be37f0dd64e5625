//! What compiles the guests.
//!
//! The compiler of the workspace does, where it has a standard library for
//! [`TARGET`] or rustup can fetch one. Where only Debian's packages and
//! crates.io can be reached, Debian's newer compiler builds that library from
//! its own sources; it is put on the machine if that is allowed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::debian;
use crate::process::{on_path, output_of, say, succeeds_within};

/// What guests are compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler, whichever one comes first in `PATH`.
const DEBIAN_COMPILER: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
/// A download of about 20 MB.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// A way to compile guests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Toolchain {
    /// The workspace's own compiler has the target.
    Installed,
    /// Debian's compiler makes the target's standard library of its sources.
    DebianSources,
}

/// What there is on this machine.
#[derive(Clone, Copy, Default)]
struct Machine {
    target_installed: bool,
    rustup: bool,
    debian_sources: bool,
    apt_as_root: bool,
}

/// What was tried already and did not help.
#[derive(Clone, Copy, Default)]
struct Tried {
    rustup: bool,
    /// In an earlier run.
    rustup_before: bool,
    apt: bool,
}

#[derive(Debug, PartialEq)]
enum Next {
    Use(Toolchain),
    AddTarget,
    InstallPackages,
    GiveUp,
}

impl Toolchain {
    /// Finds a way, and makes one where there is none yet. `notes` is a folder to remember in what did not work.
    pub(crate) fn find(notes: &Path) -> Result<Self> {
        let refusal = notes.join("rustup-cannot-add-the-target");
        let mut tried = Tried { rustup_before: refusal.exists(), ..Tried::default() };
        loop {
            match next(Machine::look(), tried) {
                Next::Use(toolchain) => return Ok(toolchain),
                Next::AddTarget => {
                    say(&format!("Adding the target {TARGET} with rustup"));
                    tried.rustup = true;
                    if !succeeds_within(Command::new("rustup").args(["target", "add", TARGET]), RUSTUP_LIMIT) {
                        say("rustup cannot add it here");
                        fs::create_dir_all(notes)?;
                        fs::write(&refusal, "")?;
                    }
                }
                Next::InstallPackages => {
                    tried.apt = true;
                    debian::install(&DEBIAN_PACKAGES);
                }
                Next::GiveUp => bail!(
                    "nothing here can compile guests: run `rustup target add {TARGET}`, or on Debian, as root, `apt-get install {}`",
                    DEBIAN_PACKAGES.join(" ")
                ),
            }
        }
    }

    /// Makes a `cargo build` compile for [`TARGET`].
    pub(crate) fn apply(self, cargo: &mut Command) {
        cargo.args(["--target", TARGET]);
        match self {
            Toolchain::Installed => {}
            Toolchain::DebianSources => {
                cargo.arg("-Zbuild-std=std,panic_abort").env("RUSTC", DEBIAN_COMPILER).env("RUSTC_BOOTSTRAP", "1");
                if on_path("rust-lld").is_none()
                    && let Some(path) = path_with_linker()
                {
                    cargo.env("PATH", path);
                }
            }
        }
    }

    /// In words, for the line that says what is going on.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Toolchain::Installed => "the workspace's compiler",
            Toolchain::DebianSources => "Debian's compiler and sources",
        }
    }
}

/// The next step towards a toolchain: the workspace's own compiler first, changes to the machine last.
fn next(machine: Machine, tried: Tried) -> Next {
    let rustup_is_hopeless = tried.rustup || (tried.rustup_before && machine.debian_sources);
    if machine.target_installed {
        Next::Use(Toolchain::Installed)
    } else if machine.rustup && !rustup_is_hopeless {
        Next::AddTarget
    } else if machine.debian_sources {
        Next::Use(Toolchain::DebianSources)
    } else if machine.apt_as_root && !tried.apt {
        Next::InstallPackages
    } else {
        Next::GiveUp
    }
}

impl Machine {
    fn look() -> Self {
        Self {
            target_installed: target_installed(),
            rustup: on_path("rustup").is_some(),
            debian_sources: debian_sources(),
            apt_as_root: debian::may_install(),
        }
    }
}

fn target_installed() -> bool {
    output_of(Command::new(compiler()).args(["--print", "target-libdir", "--target", TARGET]))
        .is_some_and(|folder| Path::new(&folder).is_dir())
}

/// Whether Debian's compiler is there, new enough, and has its sources.
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

/// Whether a line such as `rustc 1.96.0 (ac68faa20 2026-05-25)` names that version or a later one.
fn is_at_least(line: &str, wanted: &str) -> bool {
    let numbers = |version: &str| -> Option<(u32, u32)> {
        let mut parts = version.split('.').map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    };
    let found = line.split_whitespace().nth(1).and_then(numbers);
    found.is_some() && found >= numbers(wanted)
}

/// `PATH` and the folder in which rustup's compiler keeps its `rust-lld`, which Debian's may lack.
fn path_with_linker() -> Option<std::ffi::OsString> {
    let host = host().ok()?;
    let tools = sysroot(&compiler())?.join("lib/rustlib").join(host).join("bin");
    let folders = env::var_os("PATH").unwrap_or_default();
    env::join_paths(env::split_paths(&folders).chain([tools])).ok()
}

/// What the workspace's compiler compiles for by itself.
pub(crate) fn host() -> Result<String> {
    output_of(Command::new(compiler()).args(["--print", "host-tuple"])).context("rustc cannot be asked for its host")
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

    /// A machine on which everything could be had, but nothing is there yet.
    const WILLING: Machine =
        Machine { target_installed: false, rustup: true, debian_sources: false, apt_as_root: true };

    #[test]
    fn an_installed_target_is_used_as_it_is() {
        let machine = Machine { target_installed: true, debian_sources: true, ..WILLING };
        assert_eq!(next(machine, Tried::default()), Next::Use(Toolchain::Installed));
    }

    #[test]
    fn rustup_is_asked_before_debian() {
        let machine = Machine { debian_sources: true, ..WILLING };
        assert_eq!(next(machine, Tried::default()), Next::AddTarget);
        assert_eq!(next(machine, Tried { rustup: true, ..Tried::default() }), Next::Use(Toolchain::DebianSources));
    }

    #[test]
    fn rustup_is_not_asked_again_where_it_failed_before_and_debian_can_do_it() {
        let before = Tried { rustup_before: true, ..Tried::default() };
        let machine = Machine { debian_sources: true, ..WILLING };
        assert_eq!(next(machine, before), Next::Use(Toolchain::DebianSources));
        assert_eq!(next(WILLING, before), Next::AddTarget);
    }

    #[test]
    fn packages_are_installed_where_rustup_cannot_help() {
        let refused = Tried { rustup: true, ..Tried::default() };
        assert_eq!(next(WILLING, refused), Next::InstallPackages);
        let without_rustup = Machine { rustup: false, ..WILLING };
        assert_eq!(next(without_rustup, Tried::default()), Next::InstallPackages);
        let installed = Machine { debian_sources: true, ..WILLING };
        assert_eq!(next(installed, Tried { apt: true, ..refused }), Next::Use(Toolchain::DebianSources));
    }

    #[test]
    fn it_gives_up_when_everything_was_tried_or_nothing_is_allowed() {
        assert_eq!(next(WILLING, Tried { rustup: true, rustup_before: true, apt: true }), Next::GiveUp);
        assert_eq!(next(Machine::default(), Tried::default()), Next::GiveUp);
    }

    #[test]
    fn an_old_compiler_does_not_count() {
        assert!(is_at_least("rustc 1.96.0 (ac68faa20 2026-05-25)", "1.95"));
        assert!(is_at_least("rustc 1.95.0", "1.95"));
        assert!(!is_at_least("rustc 1.63.0 (4b91a6ea7 2022-08-08)", "1.95"));
        assert!(!is_at_least("nonsense", "1.95"));
    }

    #[test]
    fn debian_sources_ask_for_a_library_of_their_own() {
        let mut cargo = Command::new("cargo");
        Toolchain::DebianSources.apply(&mut cargo);
        let arguments: Vec<_> = cargo.get_args().collect();
        assert_eq!(arguments, ["--target", TARGET, "-Zbuild-std=std,panic_abort"]);
    }
}
