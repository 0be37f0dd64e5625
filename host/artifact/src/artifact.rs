//! A plugin as a file: one component that carries its own manifest and
//! migrations as custom sections.

pub use crate::complexity_limits::OverLimit;

use crate::{
    complexity_limits::{ComplexityError, Counter},
    manifest::{Manifest, ManifestError},
};
use host_base::Dialect;
use host_config::uploads::MAX_ARTIFACT_BYTES;
use host_sql::{Migration, permit_migration};
use sha2::{Digest, Sha256};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// The custom section with the bytes of `plugin.toml`.
pub const MANIFEST_SECTION: &str = "platform:manifest";
/// The custom section with a JSON array of `{"name", "sql"}`.
pub const MIGRATIONS_SECTION: &str = "platform:migrations";
/// The longest manifest.
pub const MAX_MANIFEST_BYTES: usize = 256 << 10;
/// The longest section of migrations.
pub const MAX_MIGRATIONS_BYTES: usize = 4 << 20;
/// The most migrations.
pub const MAX_MIGRATIONS: usize = 1_000;
/// The longest name of a migration.
const MAX_MIGRATION_NAME_BYTES: usize = 200;

/// A file that was read and validated, but neither compiled nor granted
/// anything.
pub struct Artifact {
    /// SHA-256 of the bytes, hexadecimal.
    pub digest: String,
    /// What it says of itself.
    pub manifest: Manifest,
    /// In the order in which they run.
    pub migrations: Vec<Migration>,
    /// The component itself.
    pub bytes: Vec<u8>,
}

/// Why a file is not a plugin.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// More than [`MAX_ARTIFACT_BYTES`].
    #[error("the file has {bytes} bytes, more than the {MAX_ARTIFACT_BYTES} that are accepted")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// No WebAssembly header.
    #[error("this is not WebAssembly: it does not begin with \\0asm")]
    NotWasm,
    /// A module where a component is needed.
    #[error("this is a core module, not a component; wrap it with `wasm-tools component new`")]
    CoreModule,
    /// Truncated, or breaking a rule of the format.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// It does not say what it is.
    #[error("the component carries no manifest (custom section {MANIFEST_SECTION})")]
    NoManifest,
    /// It says something that is not understood.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// More of something than one file may hold.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// A section of the platform is there more than once.
    #[error("the component has the section {section} twice")]
    Twice {
        /// Its name.
        section: &'static str,
    },
    /// A section of the platform is too long.
    #[error("the section {section} has {bytes} bytes, more than the {most} that are accepted")]
    SectionTooLong {
        /// Its name.
        section: &'static str,
        /// Its length.
        bytes: usize,
        /// The most that is accepted.
        most: usize,
    },
    /// The manifest is not text.
    #[error("the manifest is not UTF-8: {0}")]
    NotText(std::str::Utf8Error),
    /// The migrations section cannot be read.
    #[error("the section {MIGRATIONS_SECTION} is not valid: {0}")]
    Migrations(serde_json::Error),
    /// There are too many migrations, or one is not named as it has to be.
    #[error("the section {MIGRATIONS_SECTION} {0}")]
    MigrationNames(String),
    /// A migration has a statement that is not allowed.
    #[error("migration {name}: {reason}")]
    Migration {
        /// Its name.
        name: String,
        /// What the gate says.
        reason: String,
    },
}

impl From<ComplexityError> for ArtifactError {
    fn from(error: ComplexityError) -> Self {
        match error {
            ComplexityError::OverLimit(too_much) => Self::OverLimit(too_much),
            ComplexityError::Malformed(error) => Self::Invalid(error.to_string()),
        }
    }
}

impl Artifact {
    /// Reads a file's bytes, completely: size, header, contents, validation,
    /// sections. A manifest that comes with the file takes the place of the
    /// one inside.
    ///
    /// # Errors
    /// The first thing that is wrong, in words for its author.
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
            (Some(text), _) => Manifest::parse(short(MANIFEST_SECTION, text, text.len(), MAX_MANIFEST_BYTES)?)?,
            (None, Some(text)) => Manifest::parse(std::str::from_utf8(text).map_err(ArtifactError::NotText)?)?,
            (None, None) => return Err(ArtifactError::NoManifest),
        };
        let migrations = sections.migrations.map_or(Ok(Vec::new()), migrations)?;
        Ok(Self { digest: hex::encode(Sha256::digest(&bytes)), manifest, migrations, bytes })
    }
}

/// The sections of the platform.
#[derive(Default)]
struct Sections<'a> {
    manifest: Option<&'a [u8]>,
    migrations: Option<&'a [u8]>,
}

impl<'a> Sections<'a> {
    /// Only the outermost component's: what is nested is somebody else's.
    /// Everything is counted on the way.
    fn read(bytes: &'a [u8]) -> Result<Self, ArtifactError> {
        let mut sections = Self::default();
        let mut census = Counter::default();
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|error| ArtifactError::Invalid(error.to_string()))?;
            census.count(&payload)?;
            let Payload::CustomSection(section) = payload else { continue };
            if census.depth() > 0 {
                continue;
            }
            let (name, most, slot) = match section.name() {
                MANIFEST_SECTION => (MANIFEST_SECTION, MAX_MANIFEST_BYTES, &mut sections.manifest),
                MIGRATIONS_SECTION => (MIGRATIONS_SECTION, MAX_MIGRATIONS_BYTES, &mut sections.migrations),
                _ => continue,
            };
            let data = short(name, section.data(), section.data().len(), most)?;
            if slot.replace(data).is_some() {
                return Err(ArtifactError::Twice { section: name });
            }
        }
        Ok(sections)
    }
}

fn short<T>(section: &'static str, data: T, bytes: usize, most: usize) -> Result<T, ArtifactError> {
    if bytes > most { Err(ArtifactError::SectionTooLong { section, bytes, most }) } else { Ok(data) }
}

fn migrations(json: &[u8]) -> Result<Vec<Migration>, ArtifactError> {
    let mut migrations: Vec<Migration> = serde_json::from_slice(json).map_err(ArtifactError::Migrations)?;
    if migrations.len() > MAX_MIGRATIONS {
        let count = migrations.len();
        return Err(ArtifactError::MigrationNames(format!(
            "has {count} migrations, more than the {MAX_MIGRATIONS} that are accepted"
        )));
    }
    let is_name = |name: &str| {
        !name.is_empty() && name.len() <= MAX_MIGRATION_NAME_BYTES && name.chars().all(|c| c.is_ascii_graphic())
    };
    if let Some(migration) = migrations.iter().find(|migration| !is_name(&migration.name)) {
        let name: String = migration.name.chars().take(40).collect();
        return Err(ArtifactError::MigrationNames(format!(
            "names a migration {name:?}; it must be of 1 to {MAX_MIGRATION_NAME_BYTES} visible ASCII characters"
        )));
    }
    migrations.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some([twice, _]) = migrations.array_windows().find(|[first, second]| first.name == second.name) {
        return Err(ArtifactError::MigrationNames(format!("has the migration {} twice", twice.name)));
    }
    for migration in &migrations {
        permit_migration(Dialect::Sqlite, &migration.sql)
            .map_err(|reason| ArtifactError::Migration { name: migration.name.clone(), reason })?;
    }
    Ok(migrations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: Vec<u8>) -> String {
        Artifact::parse(bytes, None).err().expect("a refusal").to_string()
    }

    fn component(sections: &str) -> Vec<u8> {
        wat::parse_str(format!("(component {sections})")).unwrap()
    }

    #[test]
    fn a_refusal_says_what_the_file_is() {
        assert!(refusal(b"GIF89a".to_vec()).contains("not WebAssembly"));
        assert!(refusal(wat::parse_str("(module)").unwrap()).contains("core module"));
        assert!(refusal(component("")).contains("carries no manifest"));
        let whole = component("(core module (func (export \"f\")))");
        assert!(refusal(whole[..whole.len() - 3].to_vec()).contains("not valid"));
        assert!(refusal(vec![0; MAX_ARTIFACT_BYTES + 1]).contains("more than"));
    }

    #[test]
    fn a_nested_module_cannot_pose_as_the_manifest() {
        let nested = component("(core module (@custom \"platform:manifest\" \"name = 'x'\"))");
        assert!(refusal(nested).contains("carries no manifest"));
    }

    fn custom(name: &str, text: &str) -> String {
        let escaped: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        format!("(@custom {name:?} \"{escaped}\")")
    }

    fn manifest() -> String {
        custom(MANIFEST_SECTION, "name = 'x'\nversion = '1.0.0'")
    }

    fn migrations_refusal(json: &str) -> String {
        refusal(component(&format!("{} {}", manifest(), custom(MIGRATIONS_SECTION, json))))
    }

    #[test]
    fn the_sections_are_read() {
        let json = r#"[{"name":"b","sql":"DROP TABLE t"},{"name":"a","sql":"CREATE TABLE t (a TEXT)"}]"#;
        let bytes = component(&format!("{} {}", manifest(), custom(MIGRATIONS_SECTION, json)));
        let artifact = Artifact::parse(bytes, None).unwrap();
        assert_eq!(artifact.manifest.name, "x");
        assert_eq!(artifact.migrations.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(artifact.digest.len(), 64);
    }

    #[test]
    fn a_manifest_beside_the_file_takes_the_place_of_the_one_inside() {
        let beside = "name = 'y'\nversion = '2.0.0'";
        for inside in [manifest(), String::new(), custom(MANIFEST_SECTION, "nonsense")] {
            let artifact = Artifact::parse(component(&inside), Some(beside)).unwrap();
            assert_eq!(artifact.manifest.name, "y");
        }
        let long = "#".repeat(MAX_MANIFEST_BYTES + 1);
        let refused = Artifact::parse(component(""), Some(&long)).err().unwrap().to_string();
        assert!(refused.contains("more than the 262144"), "{refused}");
    }

    #[test]
    fn a_section_that_is_ambiguous_or_too_long_is_refused() {
        assert!(refusal(component(&manifest().repeat(2))).contains("platform:manifest twice"));
        let two = custom(MIGRATIONS_SECTION, "[]").repeat(2);
        assert!(refusal(component(&format!("{}{two}", manifest()))).contains("platform:migrations twice"));
        assert!(refusal(component("(@custom \"platform:manifest\" \"\\ff\")")).contains("not UTF-8"));
        let long = custom(MANIFEST_SECTION, &"#".repeat(MAX_MANIFEST_BYTES + 1));
        assert!(refusal(component(&long)).contains("platform:manifest has 262145 bytes"));
        let long = " ".repeat(MAX_MIGRATIONS_BYTES + 1);
        assert!(migrations_refusal(&long).contains("platform:migrations has 4194305 bytes"));
    }

    #[test]
    fn migrations_have_names_of_their_own() {
        let many: Vec<_> = (0..=MAX_MIGRATIONS).map(|i| format!(r#"{{"name":"{i}","sql":""}}"#)).collect();
        assert!(migrations_refusal(&format!("[{}]", many.join(","))).contains("has 1001 migrations"));
        let twice = r#"[{"name":"a","sql":"1"},{"name":"a","sql":"2"}]"#;
        assert!(migrations_refusal(twice).contains("the migration a twice"));
        assert!(migrations_refusal(r#"[{"name":"","sql":""}]"#).contains("names a migration \"\""));
        assert!(migrations_refusal(r#"[{"name":"a\u0000","sql":""}]"#).contains("visible ASCII"));
        assert!(migrations_refusal(r#"[{"name":"a","sql":"","more":1}]"#).contains("unknown field `more`"));
        assert!(migrations_refusal("[[").contains("not valid"));
        let statement = r#"[{"name":"a","sql":"ATTACH 'x' AS y"}]"#;
        let refused = migrations_refusal(statement);
        assert!(refused.contains("migration a: ATTACH is not allowed here"), "{refused}");
    }
}
