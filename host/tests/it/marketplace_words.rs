//! The host and its interfaces must not contain words of the marketplace.

use crate::support::files_below;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Words of the components. `ticketing` is the product's name, and `payments` is
/// the name of a capability, so both are allowed.
const WORDS: [&str; 7] = ["ticket", "buyer", "seller", "purchase", "marketplace", "checkout", "orders"];
const ALLOWED: [&str; 1] = ["ticketing"];

/// Tests may contain words of the marketplace.
fn is_for_tests(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests"))
        || path.ends_with("conformance.rs")
}

/// The source folders of all crates of the host, and the interfaces.
fn folders(host: &Path) -> Vec<PathBuf> {
    let crates = fs::read_dir(host).unwrap().map(|entry| entry.unwrap().path());
    // The helpers of tests are for tests, and the benchmarks sell tickets.
    let is_of_host = |path: &PathBuf| !path.ends_with("test-support") && !path.ends_with("benchmarks");
    let sources = crates.filter(is_of_host).map(|path| path.join("src"));
    let sources = sources.filter(|path| path.is_dir());
    sources.chain([host.join("src"), host.join("../wit")]).collect()
}

#[test]
fn the_host_and_the_interfaces_have_no_word_of_the_marketplace() {
    let found: Vec<_> =
        folders(Path::new(env!("CARGO_MANIFEST_DIR"))).iter().flat_map(|folder| files_below(folder)).collect();
    assert!(found.len() > 50, "the folders of the sources are not where this test expects them");
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
