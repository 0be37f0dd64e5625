//! A secret in a file of its own, as Docker and Kubernetes mount it.

use std::{fs::File, io::Read};

const MAX_BYTES: u64 = 64 << 10;

/// Reads the file that a table of the settings file names: `{ file = "PATH" }`.
pub(crate) fn named_in(table: &toml::Table) -> Result<String, String> {
    match (table.len(), table.get("file").and_then(toml::Value::as_str)) {
        (1, Some(path)) => read(path),
        _ => Err("it is not a secret: a text or { file = \"PATH\" }".to_owned()),
    }
}

/// Reads a file with a secret.
///
/// # Errors
/// Like [`read_from`], or if the file cannot be opened.
pub fn read(path: &str) -> Result<String, String> {
    read_from(path, File::open(path).map_err(|error| format!("{path}: {error}"))?)
}

/// Reads a secret of at most 64 KiB without the line break at its end.
///
/// # Errors
/// The secret is empty, too large or no text. The message names the source.
pub fn read_from(source: &str, secret: impl Read) -> Result<String, String> {
    let problem = |problem: &dyn std::fmt::Display| format!("{source}: {problem}");
    let mut text = String::new();
    secret.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| problem(&error))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(problem(&format!("the secret has more than {MAX_BYTES} bytes")));
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    if text.is_empty() {
        return Err(problem(&"the secret is empty"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_file_is_read_without_its_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let of = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(path.to_str().unwrap())
        };
        assert_eq!(of(b" a b \r\n").unwrap(), " a b ");
        assert_eq!(of(b"two\nlines\n").unwrap(), "two\nlines");
        for (bytes, problem) in [
            (&b"\n"[..], "the secret is empty"),
            (&b"\xff"[..], "UTF-8"),
            (&[b'x'; (64 << 10) + 1][..], "more than 65536 bytes"),
        ] {
            let refusal = of(bytes).unwrap_err();
            assert!(refusal.contains(problem) && refusal.contains(path.to_str().unwrap()), "{refusal}");
        }
        assert!(read("/nowhere/secret").unwrap_err().contains("/nowhere/secret: No such file"));
        assert!(read(folder.path().to_str().unwrap()).is_err());
    }
}
