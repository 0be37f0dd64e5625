//! Guests: the components of the marketplace and the fixtures of the host's tests.
//!
//! A guest is a member of the workspace whose folder has a `plugin.toml` and
//! is called by the plugin's name. It becomes `target/components/NAME.wasm`,
//! a fixture `target/components/test/NAME.wasm`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use plugin_pack::{pack_folder, write_if_changed};
use serde::Deserialize;

use crate::process::{run, say};
use crate::scripts;
use crate::toolchain::{TARGET, Toolchain};
use crate::workspace::Workspace;

/// What guests are compiled for, by a profile of the workspace's manifest.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// To be small and fast.
    Release,
    /// To be there soon after a save.
    Dev,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Profile::Release => "component",
            Profile::Dev => "component-dev",
        }
    }
}

/// What a guest is for.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Part of the marketplace, and of the host's binary.
    Component,
    /// A fixture of the host's tests and benchmarks.
    Test,
}

/// A guest as it is found.
pub(crate) struct Guest {
    /// The plugin's name.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    package: String,
    /// The file name of its core module.
    module: String,
}

/// Builds all guests of these kinds.
pub(crate) fn build(workspace: &Workspace, kinds: &[Kind]) -> Result<()> {
    // Apart from each other, so that what a component is compiled with does not depend on the fixtures beside it.
    for &kind in kinds {
        build_kind(workspace, kind)?;
    }
    if kinds.iter().any(|kind| matches!(kind, Kind::Test)) {
        scripts::build(workspace)?;
    }
    Ok(())
}

/// Compiles a plugin that is not a member of the workspace, with what compiles the components.
pub(crate) fn compile_outside(workspace: &Workspace, folder: &Path) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.current_dir(folder).args(["build", "--lib", "--release"]);
    let target = workspace.guests_target();
    Toolchain::find(&target)?.apply(&mut cargo);
    run(cargo.arg("--target-dir").arg(target.join("outside")))
}

/// Whether there is a file for each component, be it an old one.
pub(crate) fn are_built(workspace: &Workspace) -> bool {
    let output = Kind::Component.output(workspace);
    find(workspace, Kind::Component)
        .is_ok_and(|guests| guests.iter().all(|guest| output.join(format!("{}.wasm", guest.name)).is_file()))
}

impl Kind {
    fn sources(self) -> &'static str {
        match self {
            Kind::Component => "components",
            Kind::Test => "host/tests/guests",
        }
    }

    /// Where the plugin files go.
    pub(crate) fn output(self, workspace: &Workspace) -> PathBuf {
        match self {
            Kind::Component => workspace.components(),
            Kind::Test => workspace.components().join("test"),
        }
    }
}

fn build_kind(workspace: &Workspace, kind: Kind) -> Result<()> {
    let guests = find(workspace, kind)?;
    if guests.is_empty() {
        return Ok(());
    }
    let start = Instant::now();
    let target = workspace.guests_target();
    let toolchain = Toolchain::find(&target)?;
    let names = guests.iter().map(|guest| guest.name.as_str()).collect::<Vec<_>>().join(", ");
    say(&format!("Building {names} with {}", toolchain.description()));
    run(&mut compiling(workspace, toolchain, Profile::Release, &guests.iter().collect::<Vec<_>>()))?;
    let output = kind.output(workspace);
    for guest in &guests {
        let (file, size, changed) = wrap(workspace, guest, Profile::Release, &output)?;
        let note = if changed { "" } else { ", unchanged" };
        say(&format!("{} ({} KiB{note})", workspace.shown(&file), size.div_ceil(1024)));
    }
    say(&format!("Built {} in {:.1} s", kind.sources(), start.elapsed().as_secs_f64()));
    Ok(())
}

/// What compiles core modules, all in one run of cargo.
pub(crate) fn compiling(
    workspace: &Workspace,
    toolchain: Toolchain,
    profile: Profile,
    guests: &[&Guest],
) -> std::process::Command {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--lib", "--profile", profile.name()]);
    toolchain.apply(&mut cargo);
    cargo.arg("--target-dir").arg(workspace.guests_target());
    if let Some(flag) = remap_cargo_home() {
        // The panic messages in a guest do not tell where cargo keeps its sources.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flag);
    }
    for guest in guests {
        cargo.args(["--package", &guest.package]);
    }
    cargo
}

fn remap_cargo_home() -> Option<OsString> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))?;
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(home);
    flag.push("=/cargo");
    Some(flag)
}

/// Makes the plugin file of a compiled guest: where it is, its size in bytes, and whether it is another than before.
pub(crate) fn wrap(
    workspace: &Workspace,
    guest: &Guest,
    profile: Profile,
    output: &Path,
) -> Result<(PathBuf, usize, bool)> {
    let module = workspace.guests_target().join(TARGET).join(profile.name()).join(&guest.module);
    let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let plugin = pack_folder(&module, &guest.folder).with_context(|| format!("guest {}", guest.name))?;
    let file = output.join(format!("{}.wasm", guest.name));
    let changed = write_if_changed(&file, &plugin).with_context(|| format!("cannot write {}", file.display()))?;
    Ok((file, plugin.len(), changed))
}

/// The guests of a kind, by name.
pub(crate) fn find(workspace: &Workspace, kind: Kind) -> Result<Vec<Guest>> {
    let sources = workspace.root.join(kind.sources());
    if !sources.is_dir() {
        return Ok(Vec::new());
    }
    let mut guests = Vec::new();
    for entry in fs::read_dir(&sources)? {
        let folder = entry?.path();
        if folder.join("plugin.toml").is_file() {
            guests.push(guest(workspace, &folder).with_context(|| workspace.shown(&folder))?);
        }
    }
    guests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(guests)
}

fn guest(workspace: &Workspace, folder: &Path) -> Result<Guest> {
    let name = plugin_name(folder)?;
    let package = workspace.package_in(folder).context("has a plugin.toml but is not a member of the workspace")?;
    let module = package.module_file().context("has no library of the crate type cdylib")?;
    Ok(Guest { name, folder: folder.to_owned(), package: package.name.clone(), module })
}

/// The name in `plugin.toml`, which is also the folder's.
fn plugin_name(folder: &Path) -> Result<String> {
    #[derive(Deserialize)]
    struct Manifest {
        name: String,
    }

    let manifest: Manifest = toml::from_str(&fs::read_to_string(folder.join("plugin.toml"))?)?;
    if folder.file_name().is_none_or(|folder| folder != manifest.name.as_str()) {
        bail!("its plugin.toml is called {:?}; the folder and the plugin have one name", manifest.name);
    }
    Ok(manifest.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_has_the_name_of_its_folder() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("sample");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("plugin.toml"), "name = \"sample\"\nversion = \"1.0.0\"").unwrap();
        assert_eq!(plugin_name(&folder).unwrap(), "sample");

        fs::write(folder.join("plugin.toml"), "name = \"another\"").unwrap();
        assert!(plugin_name(&folder).unwrap_err().to_string().contains("another"));
    }
}
