//! Plugin files: a component that carries its own manifest and migrations.
//!
//! A plugin file is a component with two custom sections after everything
//! else at its outermost level:
//!
//! - [`MANIFEST`]: the bytes of `plugin.toml`;
//! - [`MIGRATIONS`]: a JSON array of `{"name", "sql"}` in the order of names,
//!   one for each `migrations/NAME.sql`; `[]` where there are none.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use wasm_encoder::{ComponentSection, CustomSection};
use wit_component::ComponentEncoder;

/// The section that holds `plugin.toml`.
const MANIFEST: &str = "platform:manifest";
/// The section that holds the migrations.
const MIGRATIONS: &str = "platform:migrations";

/// One file of `migrations/`.
#[derive(Serialize)]
struct Migration {
    name: String,
    sql: String,
}

/// Makes a plugin file of a core module and the folder of its package.
pub(crate) fn package(module: &[u8], folder: &Path) -> Result<Vec<u8>> {
    let manifest = fs::read(folder.join("plugin.toml")).context("cannot read plugin.toml")?;
    let migrations = serde_json::to_vec(&migrations(&folder.join("migrations"))?)?;
    let mut component = ComponentEncoder::default().validate(true).module(module)?.encode()?;
    append_section(&mut component, MANIFEST, &manifest);
    append_section(&mut component, MIGRATIONS, &migrations);
    Ok(component)
}

/// Writes a file in one step, and only where its content differs: what depends on it is not built again for nothing.
pub(crate) fn write_if_changed(file: &Path, content: &[u8]) -> Result<bool> {
    if fs::read(file).is_ok_and(|present| present == content) {
        return Ok(false);
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = file.with_extension("unfinished");
    fs::write(&unfinished, content)?;
    fs::rename(&unfinished, file)?;
    Ok(true)
}

fn append_section(component: &mut Vec<u8>, name: &str, data: &[u8]) {
    CustomSection { name: name.into(), data: data.into() }.append_to_component(component);
}

fn migrations(folder: &Path) -> Result<Vec<Migration>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    let mut migrations = Vec::new();
    for entry in entries {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "sql")
            && let Some(name) = file.file_stem().and_then(|name| name.to_str())
        {
            let sql = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            migrations.push(Migration { name: name.to_owned(), sql });
        }
    }
    migrations.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(migrations)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasmparser::{Parser, Payload};

    use super::*;

    /// The custom sections at the outermost level, in their order.
    fn sections(component: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut depth = 0;
        let mut sections = Vec::new();
        for payload in Parser::new(0).parse_all(component) {
            match payload.unwrap() {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::CustomSection(section) if depth == 0 => {
                    sections.push((section.name().to_owned(), section.data().to_vec()));
                }
                _ => {}
            }
        }
        sections
    }

    /// The smallest core module: it imports and exports nothing.
    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn a_plugin_file_carries_its_manifest_and_its_migrations_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = "name = \"sample\"\n# \u{e9}\n";
        fs::write(folder.path().join("plugin.toml"), manifest).unwrap();
        fs::create_dir(folder.path().join("migrations")).unwrap();
        fs::write(folder.path().join("migrations/0002_more.sql"), "ALTER TABLE a ADD b INTEGER").unwrap();
        fs::write(folder.path().join("migrations/0001_first.sql"), "CREATE TABLE a (id TEXT)").unwrap();
        fs::write(folder.path().join("migrations/README.md"), "not a migration").unwrap();

        let plugin = package(EMPTY_MODULE, folder.path()).unwrap();

        let sections = sections(&plugin);
        let [.., (first, manifest_bytes), (second, migrations)] = sections.as_slice() else { panic!("{sections:?}") };
        assert_eq!((first.as_str(), manifest_bytes.as_slice()), (MANIFEST, manifest.as_bytes()));
        assert_eq!(second, MIGRATIONS);
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(migrations).unwrap(),
            json!([
                { "name": "0001_first", "sql": "CREATE TABLE a (id TEXT)" },
                { "name": "0002_more", "sql": "ALTER TABLE a ADD b INTEGER" },
            ])
        );
    }

    #[test]
    fn a_plugin_without_migrations_says_so() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plugin.toml"), "name = \"sample\"").unwrap();
        let plugin = package(EMPTY_MODULE, folder.path()).unwrap();
        assert_eq!(sections(&plugin).pop(), Some((MIGRATIONS.to_owned(), b"[]".to_vec())));
    }

    #[test]
    fn an_unchanged_file_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/sample.wasm");
        assert!(write_if_changed(&file, b"one").unwrap());
        assert!(!write_if_changed(&file, b"one").unwrap());
        assert!(write_if_changed(&file, b"two").unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }
}
