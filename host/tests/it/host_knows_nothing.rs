//! The host and the interfaces know no word of the marketplace.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Words that belong to the components. `ticketing` is the product's name, and
/// `payments` that of a capability.
const WORDS: [&str; 7] = ["ticket", "buyer", "seller", "purchase", "marketplace", "checkout", "orders"];
const ALLOWED: [&str; 1] = ["ticketing"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Code that only tests see may speak of the marketplace.
fn is_for_tests(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests"))
        || path.ends_with("conformance.rs")
}

#[test]
fn neither_the_host_nor_the_interfaces_know_a_word_of_the_marketplace() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files(&root.join("src"), &mut found);
    files(&root.join("../wit"), &mut found);
    assert!(found.len() > 50, "the folders are not where they are looked for");
    let mut known = Vec::new();
    for path in found.iter().filter(|path| !is_for_tests(path)) {
        let text = fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_lowercase();
        for (number, line) in text.lines().enumerate() {
            let line = ALLOWED.iter().fold(line.to_owned(), |line, word| line.replace(word, ""));
            if let Some(word) = WORDS.iter().find(|word| line.contains(**word)) {
                known.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert!(known.is_empty(), "{}", known.join("\n"));
}
