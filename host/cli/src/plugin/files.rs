//! Files that commands read and write, with errors that name them.

use super::failure::Failure;
use host_config::uploads::MAX_ARTIFACT_BYTES;
use std::{fs, path::Path};

/// The largest file with a token, a manifest or a signature.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// A plugin file, which may not be larger than a host accepts.
pub(super) fn plugin(file: &Path) -> Result<Vec<u8>, Failure> {
    let size = fs::metadata(file).map_err(|error| unreadable(file, &error))?.len();
    if size > MAX_ARTIFACT_BYTES as u64 {
        return Err(Failure::Failed(format!(
            "{} has {size} bytes, more than the {MAX_ARTIFACT_BYTES} that a host accepts",
            file.display()
        )));
    }
    fs::read(file).map_err(|error| unreadable(file, &error))
}

/// A small text.
pub(super) fn text(file: &Path) -> Result<String, Failure> {
    let size = fs::metadata(file).map_err(|error| unreadable(file, &error))?.len();
    if size > MAX_TEXT_BYTES {
        return Err(Failure::Failed(format!("{} is too large for what it should be", file.display())));
    }
    fs::read_to_string(file).map_err(|error| unreadable(file, &error))
}

/// A token in a file of its own.
pub(super) fn token(file: &Path) -> Result<String, Failure> {
    let token = text(file)?.trim().to_owned();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(Failure::Usage(format!("{} does not hold a token", file.display())));
    }
    Ok(token)
}

/// An error of the file system, with the file that it is about.
pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{}: {error}", file.display()))
}
