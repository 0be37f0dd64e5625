//! Where things are, as cargo tells it.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::output_of;

/// The part of `cargo metadata` that is used here.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    target: PathBuf,
    packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    /// The folder of a package that is not from a registry.
    path: Option<PathBuf>,
    /// None for what it is made of; else `dev` or `build`.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

impl Workspace {
    /// The workspace of the current folder.
    pub(crate) fn find() -> Result<Self> {
        let metadata = output_of(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))
            .context("`cargo metadata` failed: run this as `cargo xtask`, inside the workspace")?;
        serde_json::from_str(&metadata).context("`cargo metadata` is not understood")
    }

    /// Cargo, to be run at the root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        command
    }

    /// The member in a folder.
    pub(crate) fn package_in(&self, folder: &Path) -> Option<&Package> {
        self.packages.iter().find(|package| package.manifest_path.parent() == Some(folder))
    }

    /// Where plugin files go.
    pub(crate) fn components(&self) -> PathBuf {
        self.target.join("components")
    }

    /// What guests are compiled in: apart from the host, whose compiler may be another one.
    pub(crate) fn guests_target(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// What is installed for the build and for nothing else.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A folder for what is made, looked at and made again.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.target.join("tmp").join(name)
    }

    /// The folders that a member is made of: its own, and those of the members on which it depends.
    pub(crate) fn folders_of(&self, member: &Path) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        let mut open = vec![member.to_owned()];
        while let Some(folder) = open.pop() {
            let dependencies = self.package_in(&folder).into_iter().flat_map(|package| &package.dependencies);
            // What its tests alone need is no part of it.
            let dependencies = dependencies.filter(|dependency| dependency.kind.as_deref() != Some("dev"));
            open.extend(
                dependencies.filter_map(|dependency| dependency.path.clone()).filter(|path| !folders.contains(path)),
            );
            folders.insert(folder);
        }
        folders
    }

    /// The host as `cargo build` leaves it.
    pub(crate) fn dev_host_binary(&self) -> PathBuf {
        self.target.join("debug").join("ticketing")
    }

    /// What the fuzzer is built in, begins with and finds.
    pub(crate) fn fuzz(&self) -> PathBuf {
        self.target.join("fuzz")
    }

    /// What the host of `cargo xtask dev` keeps.
    pub(crate) fn dev_data(&self) -> PathBuf {
        self.target.join("dev-data")
    }

    /// The host as `cargo build --release` leaves it.
    pub(crate) fn host_binary(&self) -> PathBuf {
        self.target.join("release").join("ticketing")
    }

    /// A path for people: from the root where it is below it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

impl Package {
    /// The file name of the core module that this package is compiled to.
    pub(crate) fn module_file(&self) -> Option<String> {
        let library = self.targets.iter().find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))?;
        Some(format!("{}.wasm", library.name.replace('-', "_")))
    }
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
