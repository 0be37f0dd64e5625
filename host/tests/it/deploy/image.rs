//! The build context of the image.

use std::{fs, path::Path};
use walkdir::WalkDir;

/// The files outside of its crate that a source file includes, from the root.
fn included(root: &Path, source: &Path) -> Vec<String> {
    let text = fs::read_to_string(source).unwrap();
    let paths = text.split("include_str!(\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
    let whole = paths.filter(|path| path.starts_with("../")).filter_map(|path| {
        let file = source.parent()?.join(path).canonicalize().ok()?;
        Some(file.strip_prefix(root).ok()?.to_str()?.to_owned())
    });
    whole.collect()
}

#[test]
fn the_build_context_has_every_file_that_the_program_includes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let ignore = fs::read_to_string(root.join(".dockerignore")).unwrap();
    let allowed: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let is_there = |file: &str| allowed.iter().any(|path| Path::new(file).starts_with(path));
    let sources = ["host", "components"].map(|folder| WalkDir::new(root.join(folder)));
    let sources = sources.into_iter().flatten().map(|entry| entry.unwrap().into_path());
    let is_of_program = |path: &Path| {
        let inside = path.strip_prefix(&root).unwrap();
        inside.extension().is_some_and(|extension| extension == "rs") && !inside.starts_with("host/tests")
    };
    let files: Vec<String> =
        sources.filter(|path| is_of_program(path)).flat_map(|path| included(&root, &path)).collect();
    assert!(files.iter().any(|file| file == "deploy/runbook.md"), "{files:?}");
    for file in files {
        assert!(is_there(&file), "{file} is not in .dockerignore");
    }
}
