//! `pack`: puts a module or component, a manifest, migrations, a description of the
//! API and the schemas of events into one file.

use super::{
    failure::Failure,
    files,
    output::{line, size},
};
use anyhow::Context;
use clap::Args;
use host_artifact::{Artifact, Manifest};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Creates a plugin file from the output of a compiler.
///
/// A core module that was built with bindings of `wit/` becomes a component. A component stays as it is. The
/// command puts the manifest, the migrations, the description of the API and the schemas of the events inside.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin pack target/wasm32-unknown-unknown/release/hello.wasm
  ticketing plugin pack hello.component.wasm --manifest hello/plugin.toml -o hello.wasm")]
pub(super) struct Pack {
    /// A core module or a component
    module: PathBuf,
    /// The plugin's manifest
    #[arg(long, value_name = "FILE", default_value = "plugin.toml")]
    manifest: PathBuf,
    /// A folder of .sql files [default: `migrations` beside the manifest]
    #[arg(long, value_name = "FOLDER")]
    migrations: Option<PathBuf>,
    /// The description of the API [default: `openapi.json` beside the manifest]
    #[arg(long, value_name = "FILE")]
    openapi: Option<PathBuf>,
    /// The JSON Schemas of the events that the plugin publishes [default: `events.json` beside the manifest]
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// The plugin file [default: NAME.wasm]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A plugin file that was written.
pub(super) struct Packed {
    pub(super) file: PathBuf,
    pub(super) name: String,
    version: String,
    bytes: usize,
}

impl fmt::Display for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} is in {} ({})", self.name, self.version, self.file.display(), size(self.bytes))
    }
}

impl Pack {
    /// The plugin in a folder, whose code is in this file. The plugin file gets its
    /// place in the folder.
    pub(super) fn of_folder(folder: &Path, module: PathBuf) -> Self {
        let manifest = folder.join("plugin.toml");
        Self { module, manifest, migrations: None, openapi: None, events: None, output: None }
    }

    pub(super) fn run(self) -> Result<(), Failure> {
        line(&self.pack(Path::new(""))?);
        Ok(())
    }

    /// Writes the plugin file, into this folder unless the command names another
    /// place.
    pub(super) fn pack(self, folder: &Path) -> Result<Packed, Failure> {
        let code = files::plugin(&self.module)?;
        let text = files::text(&self.manifest)?;
        let manifest =
            Manifest::parse(&text).map_err(|error| Failure::Failed(format!("{}: {error}", self.manifest.display())))?;
        let migrations = plugin_pack::migrations(&self.migrations_folder()?)?;
        let openapi = self.optional(self.openapi.as_deref(), "openapi.json")?;
        let events = self.optional(self.events.as_deref(), "events.json")?;
        let (openapi, events) = (openapi.as_deref(), events.as_deref());
        let parts = plugin_pack::Parts { manifest: text.as_bytes(), migrations: &migrations, openapi, events };
        let plugin =
            plugin_pack::pack(&code, parts).with_context(|| format!("{} cannot be packed", self.module.display()))?;
        let artifact = Artifact::parse(plugin, None).map_err(|error| Failure::Failed(error.to_string()))?;
        let file = self.output.unwrap_or_else(|| folder.join(format!("{}.wasm", manifest.name)));
        plugin_pack::write_if_changed(&file, &artifact.bytes)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        let bytes = artifact.bytes.len();
        Ok(Packed { file, name: manifest.name, version: manifest.version.to_string(), bytes })
    }

    /// The folder with the migrations. A folder that the command names must exist.
    fn migrations_folder(&self) -> Result<PathBuf, Failure> {
        match &self.migrations {
            Some(folder) if !folder.is_dir() => Err(Failure::Usage(format!("{} is not a folder", folder.display()))),
            Some(folder) => Ok(folder.clone()),
            None => Ok(self.beside_manifest("migrations")),
        }
    }

    /// A part that may be missing. A file that the command names must exist.
    fn optional(&self, named: Option<&Path>, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        match named {
            Some(file) => Ok(Some(files::text(file)?.into_bytes())),
            None => Ok(plugin_pack::optional(&self.beside_manifest(name))?),
        }
    }

    fn beside_manifest(&self, name: &str) -> PathBuf {
        self.manifest.parent().unwrap_or(Path::new("")).join(name)
    }
}
