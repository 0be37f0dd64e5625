//! Compiled components on disk, so that a start does not compile again.
//!
//! A file's name is the digest of the component and of everything that decides
//! what its machine code may look like (wasmtime's version, its settings, the
//! processor). Its first line is the digest of the rest: a file that was cut
//! off or changed is compiled again, never run. The folder belongs to the
//! host's user and has the same protection as the binary.

use sha2::{Digest, Sha256};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
};
use wasmtime::{Engine, component::Component};

/// A folder of compiled components.
pub struct CompileCache {
    folder: PathBuf,
}

const SEAL_BYTES: usize = 32;

impl CompileCache {
    /// Uses the folder, which is made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Gives the compiled component, from disk where that is possible. A cache
    /// that cannot be read or written costs time and is no error.
    pub(super) fn load_or_compile(&self, engine: &Engine, digest: &str, bytes: &[u8]) -> wasmtime::Result<Component> {
        let path = self.path(engine, digest);
        if let Some(component) = load(engine, &path) {
            return Ok(component);
        }
        let component = Component::from_binary(engine, bytes)?;
        if let Err(error) = store(&path, &component.serialize()?) {
            tracing::warn!(path = %path.display(), %error, "the compiled component could not be cached");
        }
        Ok(component)
    }

    pub(super) fn has(&self, engine: &Engine, digest: &str) -> bool {
        self.path(engine, digest).exists()
    }

    /// What cannot be removed stays, and is harmless.
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

fn load(engine: &Engine, path: &Path) -> Option<Component> {
    let file = std::fs::read(path).ok()?;
    let (seal, code) = file.split_at_checked(SEAL_BYTES)?;
    if Sha256::digest(code).as_slice() != seal {
        tracing::warn!(path = %path.display(), "a cached component is damaged and is compiled again");
        return None;
    }
    // SAFETY: `deserialize` runs whatever machine code it is given, so the
    // bytes must be what `serialize` produced. They lie in a folder that only
    // the host's own user can write, under a name derived from this engine's
    // settings, and the digest above shows that they are complete and as they
    // were written. Wasmtime itself checks its version and the settings again.
    #[expect(unsafe_code, reason = "loading a cached artifact is the one place that needs it")]
    let component = unsafe { Component::deserialize(engine, code) };
    component
        .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "a cached component does not fit"))
        .ok()
}

/// Written under another name first: a file that has its name is complete.
fn store(path: &Path, code: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
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
        cache.load_or_compile(&engine, "d", &bytes).unwrap();
        let path = cache.path(&engine, "d");
        let good = std::fs::read(&path).unwrap();
        assert!(load(&engine, &path).is_some());

        let mut flipped = good.clone();
        flipped[SEAL_BYTES + 100] ^= 1;
        for damaged in [Vec::new(), good[..good.len() / 2].to_vec(), flipped] {
            std::fs::write(&path, &damaged).unwrap();
            assert!(load(&engine, &path).is_none());
            cache.load_or_compile(&engine, "d", &bytes).unwrap();
            assert_eq!(std::fs::read(&path).unwrap().len(), good.len());
            assert!(load(&engine, &path).is_some());
        }
    }
}
