//! Guests: the components of the marketplace, and the fixtures of the host's
//! tests.
//!
//! A guest is a member of the workspace whose folder has a `plugin.toml` and the
//! name of the plugin. The plugin file of a component is
//! `target/components/NAME.wasm`. The plugin file of a fixture is
//! `target/components/test/NAME.wasm`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use plugin_pack::{pack_folder, write_if_changed};
use serde::Deserialize;

use crate::process::{print_status, replace_process, run};
use crate::script_guests;
use crate::toolchain::{TARGET, Toolchain};
use crate::workspace::Workspace;

/// The profile of cargo that compiles guests.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// For small and fast code.
    Release,
    /// For fast compilation.
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

/// The two kinds of guests.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A component of the marketplace. The host's binary contains it.
    Component,
    /// A fixture of the host's tests and benchmarks.
    Test,
}

/// A guest and its source.
pub(crate) struct Guest {
    /// The plugin's name.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    package: String,
    /// The file name of its core module.
    module: String,
}

/// A plugin file that was made from a compiled guest.
pub(crate) struct PluginFile {
    pub(crate) path: PathBuf,
    size_bytes: usize,
    /// Whether the content differs from the previous file.
    pub(crate) is_changed: bool,
}

/// Builds all guests of these kinds.
pub(crate) fn build(workspace: &Workspace, kinds: &[Kind]) -> Result<()> {
    // One cargo command for each kind, so that the fixtures do not change the features of the components.
    for &kind in kinds {
        build_kind(workspace, kind)?;
    }
    if kinds.iter().any(|kind| matches!(kind, Kind::Test)) {
        script_guests::build(workspace)?;
    }
    Ok(())
}

/// Builds the components and those guests of the tests that are written in Rust.
pub(crate) fn build_of_rust(workspace: &Workspace) -> Result<()> {
    build_kind(workspace, Kind::Component)?;
    build_kind(workspace, Kind::Test)
}

/// Compiles a plugin that is not a member of the workspace, with the toolchain of
/// the components.
pub(crate) fn compile_outside(workspace: &Workspace, folder: &Path) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.current_dir(folder).args(["build", "--lib", "--release"]);
    let target = workspace.guests_target_folder();
    Toolchain::find(&target)?.apply(&mut cargo);
    run(cargo.arg("--target-dir").arg(target.join("outside")))
}

/// Replaces this process by a command with the toolchain of the components. It
/// compiles plugins outside the workspace into one folder. Where the target of
/// `wasi:http` components is missing, it compiles them for the other target.
pub(crate) fn with_toolchain(workspace: &Workspace, command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().context("the command is missing")?;
    let target = workspace.guests_target_folder();
    let mut command = Command::new(program);
    let toolchain = Toolchain::find(&target)?;
    command.args(arguments).envs(toolchain.environment());
    if !toolchain.has_wasi_target() {
        command.env("CARGO_BUILD_TARGET", TARGET);
    }
    replace_process(command.env("CARGO_TARGET_DIR", target.join("outside")))
}

/// Whether each component has a plugin file. The file may be old.
pub(crate) fn are_built(workspace: &Workspace) -> bool {
    let output = Kind::Component.output_folder(workspace);
    find(workspace, Kind::Component)
        .is_ok_and(|guests| guests.iter().all(|guest| output.join(format!("{}.wasm", guest.name)).is_file()))
}

impl Kind {
    fn source_folder(self) -> &'static str {
        match self {
            Kind::Component => "components",
            Kind::Test => "host/tests/guests",
        }
    }

    /// The folder of the plugin files.
    pub(crate) fn output_folder(self, workspace: &Workspace) -> PathBuf {
        match self {
            Kind::Component => workspace.components_folder(),
            Kind::Test => workspace.components_folder().join("test"),
        }
    }
}

fn build_kind(workspace: &Workspace, kind: Kind) -> Result<()> {
    let guests = find(workspace, kind)?;
    if guests.is_empty() {
        return Ok(());
    }
    let start = Instant::now();
    let target = workspace.guests_target_folder();
    let toolchain = Toolchain::find(&target)?;
    let names = guests.iter().map(|guest| guest.name.as_str()).collect::<Vec<_>>().join(", ");
    print_status(&format!("Building {names} with {}", toolchain.description()));
    run(&mut compile_command(workspace, toolchain, Profile::Release, &guests.iter().collect::<Vec<_>>()))?;
    let output = kind.output_folder(workspace);
    for guest in &guests {
        let PluginFile { path, size_bytes, is_changed } =
            write_plugin_file(workspace, guest, Profile::Release, &output)?;
        let note = if is_changed { "" } else { ", unchanged" };
        print_status(&format!("Wrote {} ({} KiB{note})", workspace.display(&path), size_bytes.div_ceil(1024)));
    }
    print_status(&format!("Built {} in {:.1} s", kind.source_folder(), start.elapsed().as_secs_f64()));
    Ok(())
}

/// The cargo command that compiles the core modules of these guests.
pub(crate) fn compile_command(
    workspace: &Workspace,
    toolchain: Toolchain,
    profile: Profile,
    guests: &[&Guest],
) -> Command {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--lib", "--profile", profile.name()]);
    toolchain.apply(&mut cargo);
    cargo.arg("--target-dir").arg(workspace.guests_target_folder());
    if let Some(flag) = remap_cargo_home() {
        // Without this flag, the panic messages of a guest would contain the paths of this machine.
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

/// Writes the plugin file of a compiled guest into a folder.
pub(crate) fn write_plugin_file(
    workspace: &Workspace,
    guest: &Guest,
    profile: Profile,
    folder: &Path,
) -> Result<PluginFile> {
    let module = workspace.guests_target_folder().join(TARGET).join(profile.name()).join(&guest.module);
    let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let plugin = pack_folder(&module, &guest.folder).with_context(|| format!("guest {}", guest.name))?;
    let path = folder.join(format!("{}.wasm", guest.name));
    let is_changed = write_if_changed(&path, &plugin).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(PluginFile { path, size_bytes: plugin.len(), is_changed })
}

/// Finds the guests of a kind. They are sorted by name.
pub(crate) fn find(workspace: &Workspace, kind: Kind) -> Result<Vec<Guest>> {
    let sources = workspace.root.join(kind.source_folder());
    if !sources.is_dir() {
        return Ok(Vec::new());
    }
    let mut guests = Vec::new();
    for entry in fs::read_dir(&sources)? {
        let folder = entry?.path();
        if folder.join("plugin.toml").is_file() {
            guests.push(guest(workspace, &folder).with_context(|| workspace.display(&folder))?);
        }
    }
    guests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(guests)
}

fn guest(workspace: &Workspace, folder: &Path) -> Result<Guest> {
    let name = plugin_name(folder)?;
    let package =
        workspace.package_in(folder).context("the folder has a plugin.toml, but is not a member of the workspace")?;
    let module = package.module_file().context("the package has no library of the crate type cdylib")?;
    Ok(Guest { name, folder: folder.to_owned(), package: package.name.clone(), module })
}

/// The name in `plugin.toml`. The folder must have the same name.
fn plugin_name(folder: &Path) -> Result<String> {
    #[derive(Deserialize)]
    struct Manifest {
        name: String,
    }

    let manifest: Manifest = toml::from_str(&fs::read_to_string(folder.join("plugin.toml"))?)?;
    if folder.file_name().is_none_or(|folder| folder != manifest.name.as_str()) {
        bail!("the name in its plugin.toml is {:?}, but the folder must have the same name", manifest.name);
    }
    Ok(manifest.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_and_its_folder_have_the_same_name() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("sample");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("plugin.toml"), "name = \"sample\"\nversion = \"1.0.0\"").unwrap();
        assert_eq!(plugin_name(&folder).unwrap(), "sample");

        fs::write(folder.join("plugin.toml"), "name = \"another\"").unwrap();
        assert!(plugin_name(&folder).unwrap_err().to_string().contains("another"));
    }
}
