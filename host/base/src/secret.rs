//! Secrets: values that no log shows by accident, and the files with generated
//! secrets.

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

/// A value that never reaches a log. Its `Debug` does not show the value.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for code that compares it or signs with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// Reads the secret from the file. If there is no file, generates a secret and
/// writes the file. Only its owner can read the file.
///
/// # Errors
/// If the file is empty, or cannot be read or written.
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

/// Writes the file in one step, so it is never incomplete. If two processes
/// start at the same time, both use the same secret.
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
mod tests;
