//! Manifests: what the parser accepts can be stored and read again, and routes
//! that can match the same path are found.

use super::{cases, mutation::Corpus};
use host_artifact::{Manifest, routes};
use matchit::Router;
use rand::{RngExt, rngs::StdRng};
use std::{fs, path::Path};

const WORDS: &[&str] = &[
    "[[routes]]",
    "path = \"/{*all}\"",
    "methods = [\"GET\"]",
    "\"/a/{id}\"",
    "{",
    "}",
    "{{",
    "}}",
    "{*",
    "/",
    "//",
    "..",
    "%2f",
    "[limits]",
    "memory_mib = ",
    "18446744073709551616",
    "-1",
    "0",
    "1e400",
    "nan",
    "[config.key]",
    "type = \"secret\"",
    "default = ",
    "\"\"\"",
    "'''",
    "\\u0000",
    "\u{202e}",
    "health = \"/a\"",
    "[messaging]",
    "publishes",
    "subscribes",
    "\"*\"",
    "\"a.b\"",
    "\"a..b\"",
    "idempotent = true",
    "[instance]",
    "max_requests = 0",
    "#",
    "=",
    ".",
    "\n",
    "[",
    "]",
    "[a.a.a.a.a]",
];

/// Parts of patterns and of paths.
const SEGMENTS: &[&str] = &[
    "a", "b", "api", "{id}", "{key}", "{id}.js", "a{id}", "a{id}b", "{*rest}", "app.js", "ab", "aab", "", "{{", "}}",
    "a{{b", "{{a}}",
];

/// The manifests of the bundled components and of the test guests.
pub(super) fn manifests() -> Vec<String> {
    let host = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [host.join("../components"), host.join("tests/guests")];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path().join("plugin.toml")).collect();
    files.sort();
    let texts: Vec<String> = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    assert!(texts.len() > 10, "the manifests are elsewhere");
    texts
}

pub(super) fn corpus() -> Corpus {
    Corpus::new(manifests(), WORDS)
}

#[test]
fn a_manifest_is_refused_or_means_the_same_when_it_is_read_again() {
    let corpus = corpus();
    let mut accepted = 0;
    for mut case in cases(3_000) {
        let text = corpus.mutated_text(&mut case.random);
        let Ok(manifest) = Manifest::parse(&text) else { continue };
        let stored = serde_json::to_value(&manifest).unwrap();
        let read: Manifest = serde_json::from_value(stored.clone()).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(serde_json::to_value(&read).unwrap(), stored, "{text}");
        let written = toml::to_string(&manifest).unwrap_or_else(|error| panic!("{error}: {text}"));
        let again = Manifest::parse(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
        assert_eq!(serde_json::to_value(&again).unwrap(), stored, "{text}");
        accepted += 1;
    }
    eprintln!("{accepted} manifests were accepted");
}

/// A pattern, or a path if it has no parameter.
fn pattern(random: &mut StdRng) -> String {
    let segments = (0..random.random_range(1..5)).map(|_| SEGMENTS[random.random_range(0..SEGMENTS.len())]);
    segments.map(|segment| format!("/{segment}")).collect()
}

/// A path that the pattern matches, in most cases.
fn path_for(random: &mut StdRng, pattern: &str) -> String {
    let segment = |random: &mut StdRng, segment: &str| {
        let plain = segment.replace("{{", "<").replace("}}", ">");
        let filled = match plain.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?.1))) {
            Some((before, after)) => {
                format!("{before}{}{after}", ["a", "b", "ab", "app", "a.js", "x"][random.random_range(0..6)])
            }
            None => plain,
        };
        filled.replace('<', "{").replace('>', "}")
    };
    pattern.split('/').map(|text| segment(random, text)).collect::<Vec<_>>().join("/")
}

fn matches(pattern: &str, path: &str) -> Option<bool> {
    let mut router = Router::new();
    router.insert(pattern, ()).ok()?;
    Some(router.at(path).is_ok())
}

#[test]
fn patterns_that_the_router_matches_with_one_path_overlap() {
    let mut both = 0;
    for mut case in cases(20_000) {
        let (one, two) = (pattern(&mut case.random), pattern(&mut case.random));
        if routes::problem(&one).or(routes::problem(&two)).is_some() {
            continue;
        }
        let matched = if case.random.random() { &one } else { &two };
        let path = path_for(&mut case.random, matched);
        let overlap = routes::Pattern::of(&one).overlaps(&routes::Pattern::of(&two));
        assert_eq!(overlap, routes::Pattern::of(&two).overlaps(&routes::Pattern::of(&one)), "{one} and {two}");
        if matches(&one, &path) == Some(true) && matches(&two, &path) == Some(true) {
            assert!(overlap, "{one} and {two} match {path}");
            both += 1;
        }
    }
    eprintln!("{both} pairs match one path");
}
