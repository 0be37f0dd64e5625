//! A secret in a file of its own, as Docker and Kubernetes mount it.

use std::{fs::File, io::Read, path::Path};

const MAX_BYTES: u64 = 64 << 10;

/// Reads the file that a table of the settings file names: `{ file = "PATH" }`.
pub(crate) fn named_in(table: &toml::Table) -> Result<String, String> {
    match (table.len(), table.get("file").and_then(toml::Value::as_str)) {
        (1, Some(path)) => read(path),
        _ => Err("it is not a secret: a text or { file = \"PATH\" }".to_owned()),
    }
}

/// Reads a secret without the line break at its end.
pub(crate) fn read(path: &str) -> Result<String, String> {
    let problem = |problem: &dyn std::fmt::Display| format!("{path}: {problem}");
    let file = File::open(Path::new(path)).map_err(|error| problem(&error))?;
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| problem(&error))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(problem(&format!("the file has more than {MAX_BYTES} bytes")));
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    if text.is_empty() {
        return Err(problem(&"the file is empty"));
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
            (&b"\n"[..], "the file is empty"),
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
