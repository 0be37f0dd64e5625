//! Plugin files: components that contain their manifest, their migrations, their
//! description of the API and the schemas of their events.
//!
//! A plugin file is a component with custom sections at its outermost level, after
//! everything else:
//!
//! - [`MANIFEST_SECTION`]: the bytes of `plugin.toml`;
//! - [`MIGRATIONS_SECTION`]: a JSON array of `{"name", "sql"}`, one for each file
//!   `migrations/NAME.sql`, sorted by name. Without migrations it is `[]`;
//! - [`OPENAPI_SECTION`]: the bytes of `openapi.json`, if the plugin has this file;
//! - [`EVENTS_SECTION`]: the bytes of `events.json`, if the plugin has this file.
//!
//! This crate does not read the manifest, the description and the schemas. The host
//! checks them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The section that holds `plugin.toml`.
pub const MANIFEST_SECTION: &str = "platform:manifest";
/// The section that holds the migrations.
pub const MIGRATIONS_SECTION: &str = "platform:migrations";

/// The section that holds `openapi.json`.
pub const OPENAPI_SECTION: &str = "platform:openapi";

/// The section that holds `events.json`.
pub const EVENTS_SECTION: &str = "platform:events";

/// The parts of a plugin file beside its code.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parts<'a> {
    /// The bytes of `plugin.toml`.
    pub manifest: &'a [u8],
    /// The files of `migrations/`.
    pub migrations: &'a [Migration],
    /// The bytes of `openapi.json`.
    pub openapi: Option<&'a [u8]>,
    /// The bytes of `events.json`.
    pub events: Option<&'a [u8]>,
}

/// One file of `migrations/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Migration {
    /// The file's name without `.sql`.
    pub name: String,
    /// The content of the file.
    pub sql: String,
}

/// Makes a plugin file from a core module or from a component. A core module
/// becomes a component. If it imports WASI 0.1, the component contains the adapter
/// to WASI 0.2. A component stays as it is.
///
/// # Errors
/// If the code is neither, if it already contains a manifest, or if a core module
/// does not name its world.
pub fn pack(code: &[u8], parts: Parts<'_>) -> Result<Vec<u8>> {
    let mut component = to_component(code)?;
    append_section(&mut component, MANIFEST_SECTION, parts.manifest);
    append_section(&mut component, MIGRATIONS_SECTION, &serde_json::to_vec(parts.migrations)?);
    for (section, json) in [(OPENAPI_SECTION, parts.openapi), (EVENTS_SECTION, parts.events)] {
        if let Some(json) = json {
            append_section(&mut component, section, json);
        }
    }
    Ok(component)
}

/// Names the world of a core module, for a compiler whose bindings do not. The
/// world is the only one in the folder of WIT files.
///
/// # Errors
/// If the files cannot be read, or if the folder has no world or several.
pub fn name_world(module: &mut Vec<u8>, wit: &Path) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let world = resolve.select_world(&[package], None)?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
}

/// Like [`pack`], with `plugin.toml`, `migrations/`, `openapi.json` and `events.json`
/// from the folder of the package. All but `plugin.toml` may be missing.
///
/// # Errors
/// Like [`pack`], or if a file cannot be read.
pub fn pack_folder(code: &[u8], folder: &Path) -> Result<Vec<u8>> {
    let manifest = fs::read(folder.join("plugin.toml")).context("cannot read plugin.toml")?;
    let migrations = migrations(&folder.join("migrations"))?;
    let (openapi, events) = (optional(&folder.join("openapi.json"))?, optional(&folder.join("events.json"))?);
    let (openapi, events) = (openapi.as_deref(), events.as_deref());
    pack(code, Parts { manifest: &manifest, migrations: &migrations, openapi, events })
}

/// Reads a file that may be missing, such as `openapi.json`.
///
/// # Errors
/// If the file cannot be read. The error names the file.
pub fn optional(file: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        content => content.map(Some).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Reads the migrations in a folder, sorted by name. A missing folder has no
/// migrations.
///
/// # Errors
/// If a file cannot be read. The error names the file.
pub fn migrations(folder: &Path) -> Result<Vec<Migration>> {
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

/// Replaces a file by a rename, and only if the content differs. So files that
/// depend on it are not built again without need. Returns true if it wrote the
/// file.
///
/// # Errors
/// If the file or its folder cannot be written.
pub fn write_if_changed(file: &Path, content: &[u8]) -> Result<bool> {
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

fn to_component(code: &[u8]) -> Result<Vec<u8>> {
    if Parser::is_core_wasm(code) {
        let mut encoder = ComponentEncoder::default().validate(true).module(code)?;
        if imports_preview1(code)? {
            encoder = encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?;
        }
        return encoder.encode();
    }
    if !Parser::is_component(code) {
        bail!("the file is neither a core module nor a component: its first bytes are not those of WebAssembly");
    }
    if contains_manifest(code)? {
        bail!("the file already contains a manifest: it is a plugin file");
    }
    Ok(code.to_vec())
}

/// Whether a core module imports WASI 0.1.
fn imports_preview1(module: &[u8]) -> Result<bool> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(imports) = payload.context("the module is not valid")? {
            for import in imports.into_imports() {
                if import?.module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Whether the outermost component has the section of the manifest.
fn contains_manifest(component: &[u8]) -> Result<bool> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.context("the component is not valid")? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == MANIFEST_SECTION => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

fn append_section(component: &mut Vec<u8>, name: &str, data: &[u8]) {
    CustomSection { name: name.into(), data: data.into() }.append_to_component(component);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The custom sections at the outermost level, in order.
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
    /// The smallest component.
    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn a_plugin_file_contains_its_manifest_and_its_migrations_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = "name = \"sample\"\n# \u{e9}\n";
        fs::write(folder.path().join("plugin.toml"), manifest).unwrap();
        fs::create_dir(folder.path().join("migrations")).unwrap();
        fs::write(folder.path().join("migrations/0002_more.sql"), "ALTER TABLE a ADD b INTEGER").unwrap();
        fs::write(folder.path().join("migrations/0001_first.sql"), "CREATE TABLE a (id TEXT)").unwrap();
        fs::write(folder.path().join("migrations/README.md"), "not a migration").unwrap();

        let plugin = pack_folder(EMPTY_MODULE, folder.path()).unwrap();

        let sections = sections(&plugin);
        let [.., (first, manifest_bytes), (second, migrations)] = sections.as_slice() else { panic!("{sections:?}") };
        assert_eq!((first.as_str(), manifest_bytes.as_slice()), (MANIFEST_SECTION, manifest.as_bytes()));
        assert_eq!(second, MIGRATIONS_SECTION);
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(migrations).unwrap(),
            json!([
                { "name": "0001_first", "sql": "CREATE TABLE a (id TEXT)" },
                { "name": "0002_more", "sql": "ALTER TABLE a ADD b INTEGER" },
            ])
        );
    }

    #[test]
    fn a_plugin_without_migrations_has_an_empty_list() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plugin.toml"), "name = \"sample\"").unwrap();
        let plugin = pack_folder(EMPTY_MODULE, folder.path()).unwrap();
        assert_eq!(sections(&plugin).pop(), Some((MIGRATIONS_SECTION.to_owned(), b"[]".to_vec())));
    }

    #[test]
    fn a_plugin_file_contains_the_description_of_its_api() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plugin.toml"), "name = \"sample\"").unwrap();
        fs::write(folder.path().join("openapi.json"), "{}").unwrap();
        let plugin = pack_folder(EMPTY_MODULE, folder.path()).unwrap();
        assert_eq!(sections(&plugin).pop(), Some((OPENAPI_SECTION.to_owned(), b"{}".to_vec())));
    }

    #[test]
    fn a_plugin_file_contains_the_schemas_of_its_events() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plugin.toml"), "name = \"sample\"").unwrap();
        fs::write(folder.path().join("events.json"), "{}").unwrap();
        let plugin = pack_folder(EMPTY_MODULE, folder.path()).unwrap();
        assert_eq!(sections(&plugin).pop(), Some((EVENTS_SECTION.to_owned(), b"{}".to_vec())));
    }

    #[test]
    fn a_component_is_not_changed_and_is_packed_once() {
        let parts = Parts { manifest: b"name = \"sample\"", ..Parts::default() };
        let plugin = pack(EMPTY_COMPONENT, parts).unwrap();
        assert!(plugin.starts_with(EMPTY_COMPONENT));
        let again = pack(&plugin, parts).unwrap_err();
        assert!(again.to_string().contains("already"), "{again}");
        assert!(pack(b"GIF89a", Parts::default()).unwrap_err().to_string().contains("neither"));
    }

    #[test]
    fn a_module_that_imports_wasi_0_1_gets_its_world_and_the_adapter() {
        let wit = tempfile::tempdir().unwrap();
        let module = r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "stop") (call $exit (i32.const 1)))
            (func (export "of-another-world")))"#;
        let mut module = wat::parse_str(module).unwrap();
        assert!(name_world(&mut module, wit.path()).is_err(), "there is no world");
        fs::write(wit.path().join("world.wit"), "package a:b;\nworld component { export stop: func(); }").unwrap();
        name_world(&mut module, wit.path()).unwrap();

        let plugin = pack(&module, Parts { manifest: b"name = \"sample\"", ..Parts::default() }).unwrap();

        let decoded = wit_component::decode(&plugin).unwrap();
        let (resolve, world) = (decoded.resolve(), decoded.package());
        let (_, world) = resolve.packages[world].worlds.first().unwrap();
        let names = |keys: Vec<&wit_parser::WorldKey>| -> Vec<_> {
            keys.into_iter().map(|key| resolve.name_world_key(key)).collect()
        };
        assert_eq!(names(resolve.worlds[*world].exports.keys().collect()), ["stop"]);
        let imports = names(resolve.worlds[*world].imports.keys().collect());
        assert!(imports.iter().any(|name| name.starts_with("wasi:cli/exit@0.2.")), "{imports:?}");
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
