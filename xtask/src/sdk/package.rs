//! Tests of the package as a registry gets it.
//!
//! `cargo publish --dry-run` asks the index of the registry, so it needs a network. `cargo package` makes the same file
//! without one. So the file is made, read and compiled offline where its dependencies are downloaded already, as in
//! `cargo xtask test`. The dry run says in its own words if it cannot reach the registry.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::FOLDER;
use crate::files;
use crate::process::output_of;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

const NAME: &str = "ticketing-sdk";
/// Files of the package that cargo writes.
const OF_CARGO: [&str; 3] = [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml.orig"];
/// Parts of cargo's words for a registry that this machine does not reach.
const UNREACHABLE: [&str; 4] = ["is replaced with", "failed to query", "failed to download", "Could not resolve host"];

/// Runs cargo without a network, and once more with one if that fails: a fresh machine has no dependencies yet.
#[track_caller]
fn succeeds(cargo: impl Fn() -> Command) -> Output {
    let mut output = cargo().arg("--offline").stdin(Stdio::null()).output().unwrap();
    if !output.status.success() {
        output = cargo().stdin(Stdio::null()).output().unwrap();
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Makes the package and unpacks it outside of the workspace.
fn unpacked(workspace: &Workspace, into: &Path) -> PathBuf {
    let made = into.join("made");
    succeeds(|| {
        let mut cargo = workspace.cargo();
        cargo.args(["package", "--package", NAME, "--allow-dirty", "--no-verify", "--target-dir"]).arg(&made);
        cargo
    });
    let package =
        files::below(&made).unwrap().into_iter().find(|file| file.extension().is_some_and(|end| end == "crate"));
    let package = package.expect("cargo makes a file of the type .crate");
    output_of(Command::new("tar").arg("xzf").arg(&package).arg("-C").arg(into)).expect("tar unpacks the package");
    into.join(package.file_stem().unwrap())
}

fn names(folder: &Path) -> BTreeSet<String> {
    let files = files::below(folder).unwrap();
    files.iter().map(|file| file.strip_prefix(folder).unwrap().display().to_string()).collect()
}

#[test]
fn the_package_has_all_its_files_and_no_path() {
    let workspace = Workspace::find().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let package = unpacked(&workspace, outside.path());
    let mut packed = names(&package);
    for file in OF_CARGO {
        packed.remove(file);
    }
    assert_eq!(packed, names(&workspace.root.join(FOLDER)));

    let manifest: toml::Table = toml::from_str(&fs::read_to_string(package.join("Cargo.toml")).unwrap()).unwrap();
    for key in ["version", "description", "license", "readme", "keywords", "categories", "rust-version"] {
        assert!(manifest["package"].get(key).is_some(), "{key} is missing");
    }
    let dependencies = manifest["dependencies"].as_table().unwrap();
    assert!(dependencies.len() < 10, "a newcomer waits for each dependency: {dependencies:?}");
    for (name, dependency) in dependencies {
        assert!(dependency.get("path").is_none(), "{name} has a path");
        assert!(dependency.get("version").is_some(), "{name} has no version");
    }
}

#[test]
fn a_plugin_compiles_with_the_package_alone() {
    let workspace = Workspace::find().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let package = unpacked(&workspace, outside.path());
    let readme = fs::read_to_string(package.join("README.md")).unwrap();
    let example = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let plugin = outside.path().join("plugin");
    fs::create_dir_all(plugin.join("src")).unwrap();
    fs::write(plugin.join("src/lib.rs"), example).unwrap();
    // The lock file of the workspace names versions that are already downloaded.
    fs::copy(workspace.root.join("Cargo.lock"), plugin.join("Cargo.lock")).unwrap();
    let manifest = format!(
        "[package]\nname = \"of-the-readme\"\nedition = \"2024\"\n[workspace]\n[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n{NAME} = {{ path = {:?} }}\n",
        package.display().to_string()
    );
    fs::write(plugin.join("Cargo.toml"), manifest).unwrap();

    let target = workspace.guests_target_folder();
    let toolchain = Toolchain::find(&target).unwrap();
    let output = succeeds(|| {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&plugin).args(["build", "--release", "--target-dir"]).arg(target.join("outside"));
        toolchain.apply(&mut cargo);
        cargo
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn a_registry_takes_the_package() {
    let workspace = Workspace::find().unwrap();
    let target = tempfile::tempdir().unwrap();
    let mut cargo = workspace.cargo();
    cargo.args(["publish", "--package", NAME, "--dry-run", "--allow-dirty", "--no-verify", "--target-dir"]);
    let output = cargo.arg(target.path()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let is_taken = output.status.success() && said.contains("aborting upload due to dry run");
    assert!(is_taken || UNREACHABLE.iter().any(|reason| said.contains(reason)), "{said}");
    // Only the page of the package on the registry would show these, and the project has none.
    let warnings = said.lines().filter(|line| line.starts_with("warning: manifest has no"));
    assert!(warnings.clone().all(|line| line.ends_with("documentation, homepage or repository")), "{said}");
}
