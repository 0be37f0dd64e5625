//! Bundles the components into the host. It writes `bundled.rs` into `OUT_DIR`,
//! with a constant `BUNDLED` that has their names and their bytes.
//!
//! Each folder of `components/` with a `plugin.toml` is a bundled component, and
//! `cargo xtask build` builds its plugin file. `TICKETING_NO_BUNDLE=1` leaves the
//! components out, for a check of the host that does not need them. Tests and
//! benchmarks get the folder of the plugin files from
//! `env!("TICKETING_COMPONENTS_DIR")`.

use std::env;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const NO_BUNDLE: &str = "TICKETING_NO_BUNDLE";

fn main() -> io::Result<()> {
    let out = path_from("OUT_DIR")?;
    let manifest = path_from("CARGO_MANIFEST_DIR")?;
    let root = manifest.parent().unwrap_or(&manifest);

    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={NO_BUNDLE}");
    // A new component is a new member of the workspace, and so changes the lockfile.
    println!("cargo::rerun-if-changed={}", root.join("Cargo.lock").display());

    let names = component_names(&root.join("components"))?;
    let folders = candidate_folders(&out, root);
    let complete = folders.iter().find(|folder| names.iter().all(|name| plugin_file(folder, name).is_file()));
    let default = root.join("target").join("components");
    println!("cargo::rustc-env=TICKETING_COMPONENTS_DIR={}", complete.unwrap_or(&default).display());

    let bundled = out.join("bundled.rs");
    match complete {
        _ if env::var_os(NO_BUNDLE).is_some_and(|value| value == "1") => fs::write(bundled, source(&default, &[])),
        Some(folder) => {
            for name in &names {
                println!("cargo::rerun-if-changed={}", plugin_file(folder, name).display());
            }
            fs::write(bundled, source(folder, &names))
        }
        None => {
            println!(
                "cargo::error=the components are not built: run `cargo xtask build --components`, or set {NO_BUNDLE}=1 to build without them"
            );
            Ok(())
        }
    }
}

/// The names of the folders that are plugins, sorted.
fn component_names(components: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(components)? {
        let folder = entry?.path();
        let plugin = folder.join("plugin.toml");
        if plugin.is_file() {
            println!("cargo::rerun-if-changed={}", plugin.display());
            names.extend(folder.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// The folders that may have the plugin files: first in the target folder of this
/// build, which may be outside the clone, then in the default target folder.
fn candidate_folders(out: &Path, root: &Path) -> Vec<PathBuf> {
    // The path of `out` is <target>/<profile>/build/<package>/out. In a cross build, the target's triple comes before the
    // profile.
    let current = out.ancestors().skip(4).take(2).map(Path::to_owned);
    let configured = env::var_os("CARGO_TARGET_DIR").map(|target| root.join(target));
    current.chain(configured).chain([root.join("target")]).map(|target| target.join("components")).collect()
}

fn plugin_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.wasm"))
}

fn source(folder: &Path, names: &[String]) -> String {
    let mut source = String::from(
        "/// The bundled components: their names, sorted, and their plugin files.\npub const BUNDLED: &[(&str, &[u8])] = &[\n",
    );
    for name in names {
        // A write to a string cannot fail.
        let _ = writeln!(source, "    ({name:?}, include_bytes!({:?})),", plugin_file(folder, name));
    }
    source.push_str("];\n");
    source
}

fn path_from(variable: &str) -> io::Result<PathBuf> {
    env::var_os(variable).map(PathBuf::from).ok_or_else(|| io::Error::other(format!("cargo did not set {variable}")))
}
