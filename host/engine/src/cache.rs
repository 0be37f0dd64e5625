//! The compile cache: compiled components on disk, so that a start does not
//! compile them again.
//!
//! The name of a file is the digest of the component and a hash of wasmtime's
//! version, its settings and the processor. The file begins with the digest of
//! the rest of the file. The host compiles a component again when its file was
//! cut off or changed, and never runs such a file. The folder belongs to the
//! host's user and has the same protection as the binary.

use sha2::{Digest, Sha256};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;
use wasmtime::{Engine, component::Component};

/// A folder of compiled components.
#[derive(Debug, Clone)]
pub struct CompileCache {
    folder: PathBuf,
}

const DIGEST_BYTES: usize = 32;

impl CompileCache {
    /// Opens the folder, and creates it if it is missing.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The compiled component, if it is on disk.
    pub(super) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        load(engine, &self.path(engine, digest))
    }

    /// Compiles a component and keeps the code. A cache that cannot be written
    /// costs time and is no error.
    pub(super) fn compile(&self, engine: &Engine, digest: &str, bytes: &[u8]) -> wasmtime::Result<Component> {
        let path = self.path(engine, digest);
        let component = Component::from_binary(engine, bytes)?;
        if let Err(error) = store(&path, &component.serialize()?) {
            tracing::warn!(path = %path.display(), %error, "the compiled component could not be cached");
        }
        Ok(component)
    }

    /// A file for the output of a compiler. It is removed unless it is kept.
    pub(super) fn new_entry(&self) -> std::io::Result<NamedTempFile> {
        NamedTempFile::new_in(&self.folder)
    }

    /// Loads and keeps the output of a compiler. The inner error says why this
    /// host cannot use it.
    pub(super) fn keep(
        &self,
        engine: &Engine,
        digest: &str,
        entry: NamedTempFile,
    ) -> std::io::Result<wasmtime::Result<Component>> {
        let component = match read(engine, entry.path()) {
            Ok(component) => component,
            Err(error) => return Ok(Err(error)),
        };
        entry.persist(self.path(engine, digest)).map_err(|error| error.error)?;
        Ok(Ok(component))
    }

    /// A file that cannot be removed stays. It does no harm.
    pub(super) fn forget(&self, engine: &Engine, digest: &str) {
        let path = self.path(engine, digest);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a compiled component could not be removed");
        }
    }

    fn path(&self, engine: &Engine, digest: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.folder.join(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }
}

/// The compiled component in a file of the cache. None if there is none that this
/// host can use.
fn load(engine: &Engine, path: &Path) -> Option<Component> {
    if !path.exists() {
        return None;
    }
    read(engine, path)
        .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "a cached component is compiled again"))
        .ok()
}

fn read(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    let file = std::fs::read(path)?;
    let checked =
        file.split_at_checked(DIGEST_BYTES).filter(|(digest, code)| Sha256::digest(code).as_slice() == *digest);
    let Some((_, code)) = checked else { wasmtime::bail!("the compiled code is damaged") };
    // SAFETY: `deserialize` trusts the machine code in its input, so the input
    // must be an output of `serialize`. Only the host's own user can write to
    // the folder. The name of the file depends on this engine's settings. The
    // digest above shows that the file is complete and unchanged. Wasmtime
    // checks its version and the settings again.
    #[expect(unsafe_code, reason = "loading a cached artifact is the one place that needs it")]
    let component = unsafe { Component::deserialize(engine, code) };
    component
}

/// Writes the file under a temporary name first, so that a file with the final
/// name is complete.
fn store(path: &Path, code: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&Sha256::digest(code))?;
    file.write_all(code)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "(component (core module (func (export \"f\"))))";

    #[test]
    fn a_damaged_cache_is_built_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CompileCache::open(folder.path()).unwrap();
        let engine = Engine::default();
        let bytes = wat::parse_str(EMPTY).unwrap();
        cache.compile(&engine, "d", &bytes).unwrap();
        let path = cache.path(&engine, "d");
        let good = std::fs::read(&path).unwrap();
        assert!(load(&engine, &path).is_some());

        let mut flipped = good.clone();
        flipped[DIGEST_BYTES + 100] ^= 1;
        for damaged in [Vec::new(), good[..good.len() / 2].to_vec(), flipped] {
            std::fs::write(&path, &damaged).unwrap();
            assert!(load(&engine, &path).is_none());
            assert!(cache.load(&engine, "d").is_none());
            cache.compile(&engine, "d", &bytes).unwrap();
            assert_eq!(std::fs::read(&path).unwrap().len(), good.len());
            assert!(load(&engine, &path).is_some());
        }
    }
}
