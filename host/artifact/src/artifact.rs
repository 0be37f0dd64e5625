//! A plugin file: one component with its manifest, its migrations, its description
//! of the API and the schemas of its events as custom sections.

pub use crate::complexity_limits::TooComplex;

use crate::{
    api_part::ApiPart,
    complexity_limits::{ComplexityCounter, ComplexityError},
    event_schemas::EventSchemas,
    footprint::{Footprint, FootprintReader},
    manifest::{Manifest, ManifestError},
};
use host_base::Dialect;
use host_config::uploads::MAX_ARTIFACT_BYTES;
use host_sql::{Migration, permit_migration};
use sha2::{Digest, Sha256};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// The name of the custom section with the bytes of `plugin.toml`.
pub const MANIFEST_SECTION: &str = "platform:manifest";
/// The name of the custom section with the migrations, a JSON array of
/// `{"name", "sql"}`.
pub const MIGRATIONS_SECTION: &str = "platform:migrations";
/// The name of the custom section with the plugin's part of the description of the
/// API. The section may be missing.
pub const OPENAPI_SECTION: &str = "platform:openapi";
/// The name of the custom section with the schemas of the events that the plugin
/// publishes. The section may be missing.
pub const EVENTS_SECTION: &str = "platform:events";
/// The size limit of a manifest.
pub const MAX_MANIFEST_BYTES: usize = 256 << 10;
/// The size limit of the section with the migrations.
const MAX_MIGRATIONS_BYTES: usize = 4 << 20;
/// The size limit of the description of the API.
const MAX_OPENAPI_BYTES: usize = 64 << 10;
/// The size limit of the schemas of the events.
const MAX_EVENTS_BYTES: usize = 64 << 10;
/// How many migrations a file can have.
const MAX_MIGRATIONS: usize = 1_000;
/// The length limit of a migration's name.
const MAX_MIGRATION_NAME_BYTES: usize = 200;

/// A file that is parsed and validated. It is not compiled yet, and its imports
/// are not checked.
pub struct Artifact {
    /// SHA-256 of the bytes, in hexadecimal.
    pub digest: String,
    /// The manifest, from the file or from the upload.
    pub manifest: Manifest,
    /// The migrations, in the order in which they run.
    pub migrations: Vec<Migration>,
    /// The plugin's part of the description of the API.
    pub api: Option<ApiPart>,
    /// The schemas of the events that it publishes.
    pub events: EventSchemas,
    /// What an instance takes before its first call.
    pub footprint: Footprint,
    /// The bytes of the component.
    pub bytes: Vec<u8>,
}

/// Why a file is not a valid plugin.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The file is larger than [`MAX_ARTIFACT_BYTES`].
    #[error("the file has {bytes} bytes, more than the {MAX_ARTIFACT_BYTES} that are accepted")]
    TooLarge {
        /// The size of the file.
        bytes: usize,
    },
    /// The WebAssembly header is missing.
    #[error("this is not WebAssembly: it does not begin with \\0asm")]
    NotWasm,
    /// The file is a core module.
    #[error("this is a core module, not a component; `ticketing plugin pack FILE` makes a component of it")]
    CoreModule,
    /// The file is truncated or breaks a rule of the format.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// The section with the manifest is missing, and the upload has no manifest.
    #[error("the component carries no manifest (custom section {MANIFEST_SECTION})")]
    NoManifest,
    /// The manifest is not valid.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The component exceeds a limit on its complexity.
    #[error(transparent)]
    TooComplex(#[from] TooComplex),
    /// The file has a section of the platform twice.
    #[error("the component has the section {section} twice")]
    DuplicateSection {
        /// The name of the section.
        section: &'static str,
    },
    /// A section of the platform is too large.
    #[error("the section {section} has {bytes} bytes, more than the {limit} that are accepted")]
    SectionTooLarge {
        /// The name of the section.
        section: &'static str,
        /// The size of the section.
        bytes: usize,
        /// The size limit.
        limit: usize,
    },
    /// The manifest is not UTF-8.
    #[error("the manifest is not UTF-8: {0}")]
    ManifestEncoding(std::str::Utf8Error),
    /// The section with the migrations is not the expected JSON.
    #[error("the section {MIGRATIONS_SECTION} is not valid: {0}")]
    Migrations(serde_json::Error),
    /// The number of the migrations or the name of one is not allowed.
    #[error("the section {MIGRATIONS_SECTION} {0}")]
    MigrationList(String),
    /// The section with the description of the API is not valid.
    #[error("the section {OPENAPI_SECTION} {0}")]
    Api(String),
    /// The section with the schemas of the events is not valid.
    #[error("the section {EVENTS_SECTION} {0}")]
    Events(String),
    /// A migration contains a statement that is not allowed.
    #[error("migration {name}: {reason}")]
    Migration {
        /// The name of the migration.
        name: String,
        /// The reason of the gate.
        reason: String,
    },
}

impl From<ComplexityError> for ArtifactError {
    fn from(error: ComplexityError) -> Self {
        match error {
            ComplexityError::TooComplex(error) => Self::TooComplex(error),
            ComplexityError::Malformed(error) => Self::Invalid(error.to_string()),
        }
    }
}

impl Artifact {
    /// Reads and validates the bytes of a file: size, header, contents, format and
    /// sections. A separate `manifest` replaces the one in the file.
    ///
    /// # Errors
    /// The first problem, in words for the author of the plugin.
    pub fn parse(bytes: Vec<u8>, manifest: Option<&str>) -> Result<Self, ArtifactError> {
        if bytes.len() > MAX_ARTIFACT_BYTES {
            return Err(ArtifactError::TooLarge { bytes: bytes.len() });
        }
        if !bytes.starts_with(b"\0asm") {
            return Err(ArtifactError::NotWasm);
        }
        if Parser::is_core_wasm(&bytes) {
            return Err(ArtifactError::CoreModule);
        }
        let sections = Sections::read(&bytes)?;
        Validator::new_with_features(WasmFeatures::default())
            .validate_all(&bytes)
            .map_err(|error| ArtifactError::Invalid(error.to_string()))?;
        let manifest = match (manifest, sections.manifest) {
            (Some(text), _) => {
                check_size(MANIFEST_SECTION, text.len(), MAX_MANIFEST_BYTES)?;
                Manifest::parse(text)?
            }
            (None, Some(bytes)) => {
                Manifest::parse(std::str::from_utf8(bytes).map_err(ArtifactError::ManifestEncoding)?)?
            }
            (None, None) => return Err(ArtifactError::NoManifest),
        };
        let migrations = sections.migrations.map_or(Ok(Vec::new()), parse_migrations)?;
        let api =
            sections.openapi.map(|json| ApiPart::parse(json, &manifest)).transpose().map_err(ArtifactError::Api)?;
        let events = sections.events.map(|json| EventSchemas::parse(json, &manifest)).transpose();
        let events = events.map_err(ArtifactError::Events)?.unwrap_or_default();
        let footprint = sections.footprint;
        Ok(Self { digest: hex::encode(Sha256::digest(&bytes)), manifest, migrations, api, events, footprint, bytes })
    }
}

/// The custom sections of the platform, and the size of the rest.
#[derive(Default)]
struct Sections<'a> {
    manifest: Option<&'a [u8]>,
    migrations: Option<&'a [u8]>,
    openapi: Option<&'a [u8]>,
    events: Option<&'a [u8]>,
    footprint: Footprint,
}

impl<'a> Sections<'a> {
    /// Finds the sections of the outermost component and counts everything in
    /// the file. A nested component or module may come from another author, so
    /// its sections do not count as the plugin's.
    fn read(bytes: &'a [u8]) -> Result<Self, ArtifactError> {
        let mut sections = Self::default();
        let (mut counter, mut sizes) = (ComplexityCounter::default(), FootprintReader::default());
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|error| ArtifactError::Invalid(error.to_string()))?;
            counter.count(&payload)?;
            sizes.read(&payload).map_err(|error| ArtifactError::Invalid(error.to_string()))?;
            let Payload::CustomSection(section) = payload else { continue };
            if counter.depth() > 0 {
                continue;
            }
            let (name, limit, slot) = match section.name() {
                MANIFEST_SECTION => (MANIFEST_SECTION, MAX_MANIFEST_BYTES, &mut sections.manifest),
                MIGRATIONS_SECTION => (MIGRATIONS_SECTION, MAX_MIGRATIONS_BYTES, &mut sections.migrations),
                OPENAPI_SECTION => (OPENAPI_SECTION, MAX_OPENAPI_BYTES, &mut sections.openapi),
                EVENTS_SECTION => (EVENTS_SECTION, MAX_EVENTS_BYTES, &mut sections.events),
                _ => continue,
            };
            check_size(name, section.data().len(), limit)?;
            if slot.replace(section.data()).is_some() {
                return Err(ArtifactError::DuplicateSection { section: name });
            }
        }
        sections.footprint = sizes.footprint();
        Ok(sections)
    }
}

fn check_size(section: &'static str, bytes: usize, limit: usize) -> Result<(), ArtifactError> {
    if bytes > limit { Err(ArtifactError::SectionTooLarge { section, bytes, limit }) } else { Ok(()) }
}

fn parse_migrations(json: &[u8]) -> Result<Vec<Migration>, ArtifactError> {
    let mut migrations: Vec<Migration> = serde_json::from_slice(json).map_err(ArtifactError::Migrations)?;
    migrations.sort_by(|a, b| a.name.cmp(&b.name));
    check_list(&migrations).map_err(ArtifactError::MigrationList)?;
    for migration in &migrations {
        permit_migration(Dialect::Sqlite, &migration.sql)
            .map_err(|reason| ArtifactError::Migration { name: migration.name.clone(), reason })?;
    }
    Ok(migrations)
}

/// Checks the number and the names of sorted migrations.
fn check_list(migrations: &[Migration]) -> Result<(), String> {
    if migrations.len() > MAX_MIGRATIONS {
        let count = migrations.len();
        return Err(format!("has {count} migrations, more than the {MAX_MIGRATIONS} that are accepted"));
    }
    if let Some(migration) = migrations.iter().find(|migration| !is_migration_name(&migration.name)) {
        let name: String = migration.name.chars().take(40).collect();
        return Err(format!(
            "names a migration {name:?}; a name must have 1 to {MAX_MIGRATION_NAME_BYTES} visible ASCII characters"
        ));
    }
    match migrations.array_windows().find(|[first, second]| first.name == second.name) {
        Some([duplicate, _]) => Err(format!("has the migration {} twice", duplicate.name)),
        None => Ok(()),
    }
}

fn is_migration_name(name: &str) -> bool {
    (1..=MAX_MIGRATION_NAME_BYTES).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
