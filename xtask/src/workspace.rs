//! The folders and the packages of the workspace, from `cargo metadata`.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::output_of;

/// The used part of the output of `cargo metadata`.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    target: PathBuf,
    packages: Vec<Package>,
}

/// The profile of cargo that compiles the host.
#[derive(Clone, Copy)]
pub(crate) enum HostProfile {
    /// For fast compilation.
    Dev,
    /// With full optimisation.
    Release,
    /// The same, also across crates.
    Dist,
}

impl HostProfile {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
            Self::Dist => "dist",
        }
    }

    /// The usual duration of the first build of the host, on two cores.
    pub(crate) fn host_minutes(self) -> u32 {
        match self {
            Self::Dev => 8,
            Self::Release => 25,
            Self::Dist => 30,
        }
    }
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
    name: String,
    /// The folder of the package, if it does not come from a registry.
    path: Option<PathBuf>,
    /// `dev` or `build`, or `None` for a normal dependency.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

impl Workspace {
    /// Finds the workspace of the current folder.
    pub(crate) fn find() -> Result<Self> {
        let metadata = output_of(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))
            .context("`cargo metadata` failed: run this as `cargo xtask`, inside the workspace")?;
        serde_json::from_str(&metadata).context("cannot parse the output of `cargo metadata`")
    }

    /// The members of the workspace.
    pub(crate) fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// A cargo command that runs at the root of the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        command
    }

    /// Finds the member in a folder.
    pub(crate) fn package_in(&self, folder: &Path) -> Option<&Package> {
        self.packages.iter().find(|package| package.manifest_path.parent() == Some(folder))
    }

    /// The folder of the plugin files.
    pub(crate) fn components_folder(&self) -> PathBuf {
        self.target.join("components")
    }

    /// The target folder of the guests. The host has another one, because another
    /// compiler may compile it.
    pub(crate) fn guests_target_folder(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// The folder of the tools that this program installs.
    pub(crate) fn tools_folder(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A folder for temporary files.
    pub(crate) fn temporary_folder(&self, name: &str) -> PathBuf {
        self.target.join("tmp").join(name)
    }

    /// The folders with the source of a member: its own folder, and the folders of
    /// the members that it depends on.
    pub(crate) fn source_folders_of(&self, member: &Path) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        let mut pending = vec![member.to_owned()];
        while let Some(folder) = pending.pop() {
            let dependencies = self.package_in(&folder).into_iter().flat_map(|package| &package.dependencies);
            // The dependencies of its tests are not part of it.
            let dependencies = dependencies.filter(|dependency| dependency.kind.as_deref() != Some("dev"));
            pending.extend(
                dependencies.filter_map(|dependency| dependency.path.clone()).filter(|path| !folders.contains(path)),
            );
            folders.insert(folder);
        }
        folders
    }

    /// The folder of the fuzzer: its build, its corpus and its findings.
    pub(crate) fn fuzz_folder(&self) -> PathBuf {
        self.target.join("fuzz")
    }

    /// The data directory of the host of `cargo xtask dev`.
    pub(crate) fn dev_data_folder(&self) -> PathBuf {
        self.target.join("dev-data")
    }

    /// The folder of what is compiled for a named target.
    pub(crate) fn folder_of_target(&self, name: &str) -> PathBuf {
        self.target.join(name)
    }

    /// The binary of the host.
    pub(crate) fn host_binary(&self, profile: HostProfile) -> PathBuf {
        let folder = match profile {
            HostProfile::Dev => "debug",
            HostProfile::Release | HostProfile::Dist => profile.name(),
        };
        self.target.join(folder).join("ticketing")
    }

    /// A path for messages. It is relative if the file is in the workspace.
    pub(crate) fn display(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

impl Package {
    /// The names of the packages that it uses outside of tests and build scripts.
    pub(crate) fn normal_dependencies(&self) -> impl Iterator<Item = &str> {
        self.dependencies.iter().filter(|one| one.kind.is_none()).map(|one| one.name.as_str())
    }

    #[cfg(test)]
    pub(crate) fn with_dependencies(name: &str, uses: &[&str]) -> Self {
        let dependency = |name: &&str| Dependency { name: (*name).to_owned(), path: None, kind: None };
        Self {
            name: name.to_owned(),
            manifest_path: PathBuf::new(),
            targets: Vec::new(),
            dependencies: uses.iter().map(dependency).collect(),
        }
    }

    /// The file name of the package's core module.
    pub(crate) fn module_file(&self) -> Option<String> {
        let library = self.targets.iter().find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))?;
        Some(format!("{}.wasm", library.name.replace('-', "_")))
    }
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
