//! Checks the pages of the project against the tree that they describe.
//!
//! A page names tests, files and other pages. A rename in the code leaves such
//! a name behind without a word from the compiler, and a reader who follows it
//! finds nothing. So each name is looked up here. Every finding is one line
//! with its place and the rule that is broken.

mod markdown;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::files;
use crate::steps::Outcome;
use crate::workspace::Workspace;
use markdown::{Page, Span};

/// The most lines of a page in `docs/`.
const MAX_LINES: usize = 200;
/// The page with the invariants.
const INVARIANTS: &str = "docs/invariants.md";
/// The heading of the column that names the tests of an invariant.
const HELD_BY: &str = "Held by";
/// A name of at least so many words is the name of a test function, wherever
/// it stands. Metrics, settings and columns have shorter names.
const TEST_NAME_WORDS: usize = 5;
/// The folders of the Rust code that has tests.
const CODE: [&str; 3] = ["host", "components", "xtask"];
/// The pages whose paths are paths of this repository. The others explain
/// folders that their readers make.
const WITH_PATHS: [&str; 2] = ["", "docs"];

/// Checks all pages.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome> {
    let findings = findings(&workspace.root)?;
    if !findings.is_empty() {
        bail!("the pages are not right:\n{}", findings.join("\n"));
    }
    Ok(Outcome::Passed)
}

/// All that is wrong below a folder, in the order of the pages.
fn findings(root: &Path) -> Result<Vec<String>> {
    let tree = Tree::read(root)?;
    let mut findings = Vec::new();
    for file in files_with(root, "md")? {
        let name = file.strip_prefix(root)?.display().to_string();
        let text = read(&file)?;
        let page = Page::parse(&text);
        tree.check(&name, &page, &mut findings);
        if name == INVARIANTS && !page.spans.iter().any(|span| span.column.as_deref() == Some(HELD_BY)) {
            findings
                .push(format!("{name}: This page has no table with the column `{HELD_BY}`, so no test is checked."));
        }
        if Path::new(&name).starts_with("docs") && page.lines > MAX_LINES {
            findings.push(format!("{name}: A page in docs/ has at most {MAX_LINES} lines. It has {}.", page.lines));
        }
    }
    Ok(findings)
}

/// The names that pages may use.
struct Tree<'a> {
    root: &'a Path,
    functions: BTreeSet<String>,
    /// The names at the root: a path that begins with one of them is a path
    /// from the root.
    top: BTreeSet<String>,
}

impl<'a> Tree<'a> {
    fn read(root: &'a Path) -> Result<Self> {
        let mut functions = BTreeSet::new();
        for folder in CODE {
            for file in files_with(&root.join(folder), "rs")? {
                functions.extend(declared_functions(&read(&file)?));
            }
        }
        let mut top = BTreeSet::new();
        for entry in fs::read_dir(root).with_context(|| format!("cannot read {}", root.display()))? {
            let entry = entry?;
            if entry.path().is_dir() && files::is_ours(&entry.file_name()) {
                top.insert(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(Self { root, functions, top })
    }

    fn check(&self, name: &str, page: &Page, findings: &mut Vec<String>) {
        let mut add = |line: usize, text: String| findings.push(format!("{name}:{line}: {text}"));
        for (line, problem) in page.rows_without(HELD_BY) {
            add(line, format!("An invariant names the test that holds it. {problem}"));
        }
        let folder = Path::new(name).parent().unwrap_or(Path::new(""));
        let has_paths = WITH_PATHS.iter().any(|with| Path::new(with) == folder);
        for span in &page.spans {
            if let Some(problem) = self.problem(span, has_paths) {
                add(span.line, problem);
            }
        }
        for link in &page.links {
            if let Some(problem) = self.link_problem(name, folder, page, &link.target) {
                add(link.line, problem);
            }
        }
    }

    /// What is wrong with a name in backticks.
    fn problem(&self, span: &Span, has_paths: bool) -> Option<String> {
        let text = span.text.as_str();
        if text.contains('/') {
            let is_checked = has_paths && self.is_path(text);
            return (is_checked && !self.root.join(text).exists())
                .then(|| format!("The path `{text}` does not exist."));
        }
        let function = text.rsplit("::").next().unwrap_or_default();
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_test = is_name(function)
            && (span.column.as_deref() == Some(HELD_BY) || function.split('_').count() >= TEST_NAME_WORDS);
        (is_test && !self.functions.contains(function)).then(|| {
            format!("The test `{text}` does not exist: no file in {} has `fn {function}(`.", CODE.join("/, ") + "/")
        })
    }

    /// Whether a text is a path from the root, without a placeholder such as `NAME`.
    fn is_path(&self, text: &str) -> bool {
        let mut segments = text.split('/');
        let is_placeholder = |segment: &str| {
            let stem = segment.split('.').next().unwrap_or_default();
            stem.len() > 1 && stem.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        };
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
        let is_below = segments.next().is_some_and(|first| self.top.contains(first));
        is_plain && is_below && !text.split('/').any(is_placeholder)
    }

    /// What is wrong with the target of a link. Links that leave the
    /// repository are not followed.
    fn link_problem(&self, name: &str, folder: &Path, page: &Page, target: &str) -> Option<String> {
        if target.contains("://") || target.starts_with("mailto:") {
            return None;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let file = self.root.join(folder).join(path);
        if !path.is_empty() && !file.exists() {
            return Some(format!("The link `{target}` leads to no file."));
        }
        if anchor.is_empty() {
            return None;
        }
        let has_anchor = if path.is_empty() || file == self.root.join(name) {
            page.anchors.contains(anchor)
        } else {
            fs::read_to_string(&file).is_ok_and(|text| Page::parse(&text).anchors.contains(anchor))
        };
        (!has_anchor).then(|| format!("The link `{target}` leads to no heading of that page."))
    }
}

/// The names of the functions that a Rust file declares.
fn declared_functions(text: &str) -> impl Iterator<Item = String> {
    let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    code.filter_map(|line| {
        let (before, after) = line.split_once("fn ")?;
        let is_word = before.is_empty() || before.ends_with(' ');
        let (name, _) = after.split_once(['(', '<'])?;
        is_word.then(|| name.to_owned())
    })
}

/// The files with an extension below a folder, sorted.
fn files_with(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = files::below(folder)?;
    found.retain(|path| path.extension().is_some_and(|other| other == extension));
    Ok(found)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small repository with one test, and the given pages.
    fn findings_of(pages: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let invariants = ("docs/invariants.md", "| Invariant | Held by |\n|---|---|\n| It holds | `it_holds` |\n");
        let code = [("host/src/lib.rs", "#[test]\nfn it_holds() {}\n"), ("components/a.rs", ""), ("xtask/b.rs", "")];
        for (name, text) in [invariants].iter().chain(&code).chain(pages) {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        findings(root.path()).unwrap()
    }

    /// The findings about one page.
    fn findings_in(name: &str, text: &str) -> Vec<String> {
        findings_of(&[(name, text)])
    }

    #[test]
    fn right_pages_have_no_findings() {
        let text = "# A page\n\nSee [it](docs/invariants.md), [this](#a-page), `host/src/lib.rs` and `wit/NAME.wit`.\n";
        assert_eq!(findings_in("README.md", text), Vec::<String>::new());
    }

    #[test]
    fn a_test_that_does_not_exist_is_found_with_its_page_and_line() {
        let table = "| Invariant | Held by |\n|---|---|\n| One | `it_holds`, `tests::it_is_gone` |\n";
        let found = findings_in("docs/invariants.md", table);
        let place = "docs/invariants.md:3: The test `tests::it_is_gone` does not exist:";
        assert!(found.len() == 1 && found[0].starts_with(place), "{found:?}");
        assert!(
            findings_in("A.md", "`no_test_has_this_name`\n")[0].starts_with("A.md:1: The test `no_test_has_this_name`")
        );
        assert!(findings_in("A.md", "`http_request_seconds_bucket`\n").is_empty(), "the name of a metric");
    }

    #[test]
    fn an_invariant_without_a_test_is_found() {
        let found = findings_in("docs/invariants.md", "| Invariant | Held by |\n|---|---|\n| One | nobody |\n");
        assert!(found[0].starts_with("docs/invariants.md:3: An invariant names the test that holds it."), "{found:?}");
        let found = findings_in("docs/invariants.md", "Nothing here.\n");
        assert!(found[0].contains("no table with the column `Held by`"), "{found:?}");
    }

    #[test]
    fn a_path_that_does_not_exist_is_found_where_paths_begin_at_the_root() {
        assert_eq!(
            findings_in("docs/a.md", "`host/gone.rs`\n"),
            ["docs/a.md:1: The path `host/gone.rs` does not exist."]
        );
        assert!(findings_in("wit/a.md", "`host/gone.rs`\n").is_empty(), "a folder that the reader makes");
        assert!(findings_in("docs/a.md", "```\n`host/gone.rs`\n```\n").is_empty(), "a block of code");
        let built = [("A.md", "`target/gone`\n"), ("target/there", "")];
        assert_eq!(findings_of(&built), Vec::<String>::new(), "a folder that a build makes");
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let found =
            findings_in("docs/a.md", "# A\n[b](b.md) [c](#c) [d](invariants.md#d) [e](https://example.com/e)\n");
        assert_eq!(
            found,
            [
                "docs/a.md:2: The link `b.md` leads to no file.",
                "docs/a.md:2: The link `#c` leads to no heading of that page.",
                "docs/a.md:2: The link `invariants.md#d` leads to no heading of that page.",
            ]
        );
    }

    #[test]
    fn a_page_that_is_too_long_is_found_in_docs_alone() {
        let long = "A line.\n".repeat(MAX_LINES + 1);
        assert_eq!(findings_in("docs/a.md", &long), ["docs/a.md: A page in docs/ has at most 200 lines. It has 201."]);
        assert!(findings_in("A.md", &long).is_empty());
    }

    #[test]
    fn declarations_are_told_from_mentions() {
        let code = "pub(crate) async fn one(a: u8) {}\n// fn two() {}\n  fn three<T>() {}\nlet x = often four();\n";
        assert_eq!(declared_functions(code).collect::<Vec<_>>(), ["one", "three"]);
    }
}
