//! The parts of the package `ticketing-sdk` besides its own code. It is complete outside of this repository, so it
//! has the interfaces and the licences as copies. Its bindings are generated here, so that a plugin compiles
//! without the generator.

#[cfg(test)]
mod package;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::files;
use crate::process::{print_status, run};
use crate::workspace::Workspace;

/// The folder of the package, from the root of the workspace.
const FOLDER: &str = "components/sdk";
/// Files and folders that the package has as copies, from the root of the workspace.
const COPIED: [&str; 4] = ["LICENSE-APACHE", "LICENSE-MIT", "wit/plugin.wit", "wit/deps"];
/// With this variable, the test of the bindings writes them.
const WRITES: &str = "TICKETING_WRITES_BINDINGS";

/// Writes the copies and the bindings.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let wit = workspace.root.join(FOLDER).join("wit");
    if wit.exists() {
        fs::remove_dir_all(&wit)?;
    }
    for (file, text) in copies(workspace)? {
        let copy = workspace.root.join(FOLDER).join(file);
        fs::create_dir_all(copy.parent().unwrap_or(&copy))?;
        fs::write(&copy, text).with_context(|| format!("cannot write {}", copy.display()))?;
    }
    print_status(&format!("Copied the interfaces into {FOLDER}"));
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--quiet", "--package", "xtask", "the_bindings_of_the_sdk"]).env(WRITES, "1");
    run(&mut cargo)
}

/// The files to copy: the path in the repository, which is also the path in the package, and the text.
fn copies(workspace: &Workspace) -> Result<Vec<(String, String)>> {
    let mut copies = Vec::new();
    for copied in COPIED {
        for file in files::below(&workspace.root.join(copied))? {
            copies.push((workspace.display(&file), read(&file)?));
        }
    }
    Ok(copies)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::env;
    use wit_bindgen_core::wit_parser::Resolve;
    use wit_bindgen_core::{Files, WorldGenerator};
    use wit_bindgen_rust::{Opts, WithOption};

    /// A world of `wit/plugin.wit`, and the types that another world has defined already.
    struct World {
        /// The name of its file below `src/bindings`.
        file: &'static str,
        world: &'static str,
        with: &'static [(&'static str, &'static str)],
        /// The name of the macro that exports its handler.
        export: Option<&'static str>,
    }

    const SQL: (&str, &str) = ("platform:store/sql@1.0.0", "crate::bindings::imports::platform::store::sql");
    const WORLDS: [World; 4] = [
        World { file: "imports", world: "capabilities", with: &[], export: None },
        World {
            file: "http",
            world: "packed-plugin",
            with: &[("platform:http/types@1.0.0", "crate::bindings::imports::platform::http::types")],
            export: Some("export_http"),
        },
        World { file: "messaging", world: "messaging-plugin", with: &[SQL], export: Some("export_messaging") },
        World {
            file: "timers",
            world: "timers-plugin",
            with: &[SQL, ("platform:messaging/types@1.0.0", "crate::bindings::messaging::platform::messaging::types")],
            export: Some("export_timers"),
        },
    ];

    impl World {
        fn bindings(&self, wit: &Path) -> String {
            let mut resolve = Resolve::default();
            let (package, _) = resolve.push_path(wit).unwrap();
            let world = resolve.select_world(&[package], Some(self.world)).unwrap();
            let path = |(name, path): &(&str, &str)| ((*name).to_owned(), WithOption::Path((*path).to_owned()));
            let options = Opts {
                format: true,
                generate_all: true,
                with: self.with.iter().map(path).collect(),
                pub_export_macro: self.export.is_some(),
                export_macro_name: self.export.map(str::to_owned),
                type_section_suffix: self.export.map(|_| self.file.to_owned()),
                ..Opts::default()
            };
            let mut files = Files::default();
            options.build().generate(&mut resolve, world, &mut files).unwrap();
            let (_, code) = files.iter().next().unwrap();
            String::from_utf8(code.to_vec()).unwrap()
        }
    }

    #[test]
    fn the_bindings_of_the_sdk_are_those_of_the_interfaces() {
        let workspace = Workspace::find().unwrap();
        let folder = workspace.root.join(FOLDER);
        for world in &WORLDS {
            let file = folder.join(format!("src/bindings/{}.rs", world.file));
            let bindings = world.bindings(&workspace.root.join("wit"));
            if env::var_os(WRITES).is_some() {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, &bindings).unwrap();
            }
            assert!(read(&file).unwrap() == bindings, "{}: run `cargo xtask interfaces`", file.display());
        }
    }

    #[test]
    fn the_sdk_has_the_published_interfaces_and_the_licences() {
        let workspace = Workspace::find().unwrap();
        let folder = workspace.root.join(FOLDER);
        let copies = copies(&workspace).unwrap();
        for (file, text) in &copies {
            assert_eq!(&read(&folder.join(file)).unwrap(), text, "{file}: run `cargo xtask interfaces`");
        }
        let known: BTreeSet<_> = copies.iter().map(|(file, _)| folder.join(file)).collect();
        let interfaces = files::below(&folder.join("wit")).unwrap();
        assert!(interfaces.iter().all(|file| known.contains(file)), "{interfaces:?}: run `cargo xtask interfaces`");
    }
}
