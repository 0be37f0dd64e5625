//! Uploads: a file that a random change leaves readable is compatible with itself.

mod input;

use super::{cases, mutation::Corpus};
use crate::support::guest;
use std::fs;

/// Parts of a plugin file: the names of its sections, and numbers of the format.
const WORDS: &[&str] = &[
    "\0asm",
    "\u{1}\0\0\0",
    "\r\0\u{1}\0",
    "\0",
    "\u{7f}",
    "plugin.toml",
    "migrations/",
    "openapi.json",
    "events.json",
    "name = ",
    "version = ",
    "platform:store/sql@1.0.0",
    "[[routes]]",
];

#[test]
fn a_changed_file_is_refused_or_compatible_with_itself() {
    let files = ["hello", "hello-fresh", "wasi"].map(|name| fs::read(guest(name)).unwrap());
    let inputs: Vec<_> = files.iter().map(|file| [&[0], file.as_slice()].concat()).collect();
    assert!(inputs.iter().all(|input| input::check(input)), "the files are good");
    // This manifest takes the place of the one in the file. The first byte is its length
    // in units of 16 bytes.
    let manifest = "name = \"hello\"\nversion = \"1.0.0\"\n[[routes]]\npath = \"/hello\"\nmethods = [\"GET\"]\n";
    let named = files.iter().map(|file| [&[6], format!("{manifest:<96}").as_bytes(), file.as_slice()].concat());
    let corpus = Corpus::new(inputs.iter().cloned().chain(named), WORDS);
    for mut case in cases(300) {
        input::check(&corpus.mutated(&mut case.random));
    }
}
