//! A plugin as a file: one component that carries its own manifest and
//! migrations as custom sections.

use super::manifest::{Manifest, ManifestError};
use crate::capability::store::Migration;
use sha2::{Digest, Sha256};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// The custom section with the bytes of `plugin.toml`.
pub const MANIFEST_SECTION: &str = "platform:manifest";
/// The custom section with a JSON array of `{"name", "sql"}`.
pub const MIGRATIONS_SECTION: &str = "platform:migrations";
/// The largest file that is accepted.
pub const MAX_ARTIFACT_BYTES: usize = 64 << 20;

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
    /// The migrations section cannot be read.
    #[error("the section {MIGRATIONS_SECTION} is not valid: {0}")]
    Migrations(serde_json::Error),
}

impl Artifact {
    /// Reads a file's bytes, completely: size, header, validation, sections.
    ///
    /// # Errors
    /// The first thing that is wrong, in words for its author.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, ArtifactError> {
        if bytes.len() > MAX_ARTIFACT_BYTES {
            return Err(ArtifactError::TooLarge { bytes: bytes.len() });
        }
        if !bytes.starts_with(b"\0asm") {
            return Err(ArtifactError::NotWasm);
        }
        if Parser::is_core_wasm(&bytes) {
            return Err(ArtifactError::CoreModule);
        }
        Validator::new_with_features(WasmFeatures::default())
            .validate_all(&bytes)
            .map_err(|error| ArtifactError::Invalid(error.to_string()))?;
        let sections = Sections::read(&bytes)?;
        let text = sections.manifest.ok_or(ArtifactError::NoManifest)?;
        let manifest = Manifest::parse(&String::from_utf8_lossy(&text))?;
        let mut migrations: Vec<Migration> = match sections.migrations {
            Some(json) => serde_json::from_slice(&json).map_err(ArtifactError::Migrations)?,
            None => Vec::new(),
        };
        migrations.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { digest: hex::encode(Sha256::digest(&bytes)), manifest, migrations, bytes })
    }
}

#[derive(Default)]
struct Sections {
    manifest: Option<Vec<u8>>,
    migrations: Option<Vec<u8>>,
}

impl Sections {
    /// Only the outermost component's: what is nested is somebody else's.
    fn read(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let mut sections = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(|error| ArtifactError::Invalid(error.to_string()))? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if depth == 0 => match section.name() {
                    MANIFEST_SECTION => sections.manifest = Some(section.data().to_vec()),
                    MIGRATIONS_SECTION => sections.migrations = Some(section.data().to_vec()),
                    _ => {}
                },
                _ => {}
            }
        }
        Ok(sections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: Vec<u8>) -> String {
        Artifact::parse(bytes).err().expect("a refusal").to_string()
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

    #[test]
    fn the_sections_are_read() {
        let artifact = Artifact::parse(component(
            "(@custom \"platform:manifest\" \"name = 'x'\\nversion = '1.0.0'\")
             (@custom \"platform:migrations\" \"[{\\\"name\\\":\\\"b\\\",\\\"sql\\\":\\\"2\\\"},{\\\"name\\\":\\\"a\\\",\\\"sql\\\":\\\"1\\\"}]\")",
        ))
        .unwrap();
        assert_eq!(artifact.manifest.name, "x");
        assert_eq!(artifact.migrations.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(artifact.digest.len(), 64);
    }
}
