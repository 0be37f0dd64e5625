//! Secrets: what cannot be printed by accident, and the files that keep those
//! that nobody has set.

use serde::Deserialize;
use std::{
    fmt,
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

const GENERATED_BYTES: usize = 32;
const OWNER_ONLY: u32 = 0o600;

/// A value that never reaches a log: its `Debug` prints nothing of it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for whoever checks or signs with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// Reads the secret that an earlier start has left in the file, or generates
/// one and leaves it there, readable by its owner alone.
///
/// # Errors
/// When the file is empty, or cannot be read or written.
pub fn load_or_generate(path: &Path) -> io::Result<Secret> {
    match fs::read_to_string(path) {
        Ok(text) => read(path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => generate(path),
        Err(error) => Err(error),
    }
}

fn read(path: &Path, text: &str) -> io::Result<Secret> {
    if fs::metadata(path)?.permissions().mode() & 0o777 != OWNER_ONLY {
        fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY))?;
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file is empty; remove it to have a new one generated",
        ));
    }
    Ok(Secret::new(text))
}

/// The file appears whole or not at all, and when two processes start at once
/// both end up with the same secret.
fn generate(path: &Path) -> io::Result<Secret> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let secret = Secret::new(hex::encode(rand::random::<[u8; GENERATED_BYTES]>()));
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(OWNER_ONLY)).tempfile_in(folder)?;
    writeln!(file, "{}", secret.expose())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => {
            File::open(folder)?.sync_all()?;
            Ok(secret)
        }
        Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => read(path, &fs::read_to_string(path)?),
        Err(refused) => Err(refused.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_generated_secret_is_for_its_owner_alone_and_survives_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let first = load_or_generate(&path).unwrap();
        assert_eq!(first.expose().len(), 2 * GENERATED_BYTES);
        assert_eq!(mode(&path), 0o600);

        let second = load_or_generate(&path).unwrap();
        assert_eq!(first.expose(), second.expose());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_may_read_is_closed_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "a secret of my own\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load_or_generate(&path).unwrap().expose(), "a secret of my own");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn an_empty_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "\n").unwrap();
        assert!(load_or_generate(&path).is_err());
    }

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?}", Secret::new("tell-nobody"));
        assert!(!shown.contains("tell"));
    }

    #[test]
    fn starts_at_the_same_time_agree_on_one_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let secrets: Vec<String> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| load_or_generate(&path).unwrap().expose().to_owned())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    }
}
