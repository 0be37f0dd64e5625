//! Reads files, with errors that name the file.

use super::failure::Failure;
use host_config::uploads::MAX_ARTIFACT_BYTES;
use std::{fs, path::Path};

/// The most bytes of a text, such as a token, a manifest or a signature.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Reads a plugin file. It must not be larger than a host accepts.
pub(crate) fn plugin(file: &Path) -> Result<Vec<u8>, Failure> {
    let size = fs::metadata(file).map_err(|error| file_failure(file, &error))?.len();
    if size > MAX_ARTIFACT_BYTES as u64 {
        return Err(Failure::Failed(format!(
            "{} has {size} bytes, more than the {MAX_ARTIFACT_BYTES} that a host accepts",
            file.display()
        )));
    }
    fs::read(file).map_err(|error| file_failure(file, &error))
}

/// Reads a small text.
pub(crate) fn text(file: &Path) -> Result<String, Failure> {
    let size = fs::metadata(file).map_err(|error| file_failure(file, &error))?.len();
    if size > MAX_TEXT_BYTES {
        return Err(Failure::Failed(format!(
            "{} is too large: such a text has at most {MAX_TEXT_BYTES} bytes",
            file.display()
        )));
    }
    fs::read_to_string(file).map_err(|error| file_failure(file, &error))
}

/// Reads a file that contains only a token.
pub(crate) fn token(file: &Path) -> Result<String, Failure> {
    let token = text(file)?.trim().to_owned();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(Failure::Usage(format!("{} does not contain a token", file.display())));
    }
    Ok(token)
}

/// The failure for an error of the file system.
pub(crate) fn file_failure(file: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{}: {error}", file.display()))
}
