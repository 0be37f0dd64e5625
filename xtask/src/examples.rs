//! The plugins in `examples/`. Each is a folder that works where it is copied
//! to, so each has the published interfaces as a copy.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::files;
use crate::process::print_status;
use crate::workspace::Workspace;

/// The folders of the examples.
pub(crate) fn folders(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(workspace.root.join("examples"))? {
        let folder = entry?.path();
        if folder.join("plugin.toml").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Copies `wit/deps` into each example.
pub(crate) fn write_interfaces(workspace: &Workspace) -> Result<()> {
    let published = interfaces(&workspace.root.join("wit/deps"))?;
    for folder in folders(workspace)? {
        let copy = folder.join("wit/deps");
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        for (file, text) in &published {
            let file = copy.join(file);
            fs::create_dir_all(file.parent().unwrap_or(&copy))?;
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        print_status(&format!("Copied {} interfaces into {}", published.len(), workspace.display(&folder)));
    }
    Ok(())
}

/// The files of each package, by their path in the folder of all packages.
fn interfaces(deps: &Path) -> Result<BTreeMap<PathBuf, String>> {
    files::below(deps)?
        .into_iter()
        .map(|file| Ok((file.strip_prefix(deps)?.to_owned(), fs::read_to_string(&file)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_has_the_published_interfaces() {
        let workspace = Workspace::find().unwrap();
        let published = interfaces(&workspace.root.join("wit/deps")).unwrap();
        let folders = folders(&workspace).unwrap();
        assert_eq!(folders.len(), 4);
        for folder in folders {
            let copies = interfaces(&folder.join("wit/deps")).unwrap();
            assert!(copies == published, "{}: run `cargo xtask interfaces`", folder.display());
        }
    }
}
