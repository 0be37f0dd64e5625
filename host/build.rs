//! Puts the built-in components into the host: `bundled.rs` in `OUT_DIR`,
//! with a constant `BUNDLED` of their names and bytes.
//!
//! Which they are, the folders of `components/` with a `plugin.toml` say;
//! `cargo xtask build` makes their files. `TICKETING_NO_BUNDLE=1` leaves them
//! out, for a check of the host that has no use for them. The folder they are
//! in is told to tests and benchmarks as `env!("TICKETING_COMPONENTS_DIR")`.

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
    // A new component is a new member of the workspace, which shows in the lockfile.
    println!("cargo::rerun-if-changed={}", root.join("Cargo.lock").display());

    let names = component_names(&root.join("components"))?;
    let places = places(&out, root);
    let complete = places.iter().find(|place| names.iter().all(|name| file(place, name).is_file()));
    let default = root.join("target").join("components");
    println!("cargo::rustc-env=TICKETING_COMPONENTS_DIR={}", complete.unwrap_or(&default).display());

    let bundled = out.join("bundled.rs");
    match complete {
        _ if env::var_os(NO_BUNDLE).is_some_and(|value| value == "1") => fs::write(bundled, source(&default, &[])),
        Some(place) => {
            for name in &names {
                println!("cargo::rerun-if-changed={}", file(place, name).display());
            }
            fs::write(bundled, source(place, &names))
        }
        None => {
            println!(
                "cargo::error=the components are not built: run `cargo xtask build --components` (or set {NO_BUNDLE}=1 to do without)"
            );
            Ok(())
        }
    }
}

/// The folders that are plugins, by name.
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

/// Where the files may be: in the target folder that this build is in, which
/// may be outside the clone, else in the usual one.
fn places(out: &Path, root: &Path) -> Vec<PathBuf> {
    // <target>/<profile>/build/<package>/out, with the target's triple before the profile in a cross build.
    let around = out.ancestors().skip(4).take(2).map(Path::to_owned);
    let given = env::var_os("CARGO_TARGET_DIR").map(|target| root.join(target));
    around.chain(given).chain([root.join("target")]).map(|target| target.join("components")).collect()
}

fn file(place: &Path, name: &str) -> PathBuf {
    place.join(format!("{name}.wasm"))
}

fn source(place: &Path, names: &[String]) -> String {
    let mut source = String::from(
        "/// The built-in components: their names, in order, and their plugin files.\npub const BUNDLED: &[(&str, &[u8])] = &[\n",
    );
    for name in names {
        // Writing to a string does not fail.
        let _ = writeln!(source, "    ({name:?}, include_bytes!({:?})),", file(place, name));
    }
    source.push_str("];\n");
    source
}

fn path_from(variable: &str) -> io::Result<PathBuf> {
    env::var_os(variable).map(PathBuf::from).ok_or_else(|| io::Error::other(format!("cargo did not set {variable}")))
}
