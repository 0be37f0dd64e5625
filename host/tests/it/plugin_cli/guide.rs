//! The guide in `wit/README.md` and its page for each language, followed to the
//! letter. The tests run the commands, write the files and compare the answers. They
//! compile the plugins with nothing but the folder that `ticketing plugin new` makes.

use super::{Ended, Shell, build, templates, test};
use crate::support::{Host, Setup, eventually};
use http::Method;
use std::{
    fs,
    path::{Path, PathBuf},
};

const GUIDE: &str = include_str!("../../../../wit/README.md");

/// A fenced block of a page.
struct Block<'a> {
    language: &'a str,
    /// The file that the line before the block names.
    file: Option<&'a str>,
    text: String,
}

/// The blocks of a page up to a heading, in order.
fn blocks<'a>(page: &'a str, until: &str) -> Vec<Block<'a>> {
    let (guide, _) = page.split_once(until).unwrap_or_else(|| panic!("the page has no {until:?}"));
    let mut blocks = Vec::new();
    let (mut before, mut lines) = ("", guide.lines());
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            let file = before.strip_suffix("`:").and_then(|line| line.strip_prefix('`'));
            blocks.push(Block { language, file, text });
            before = "";
        } else if !line.is_empty() {
            before = line;
        }
    }
    blocks
}

/// An author who follows a page.
struct Author {
    host: Host,
    shell: Shell,
    folder: PathBuf,
}

impl Author {
    async fn new() -> Self {
        let host = Setup::without_components().start().await;
        let shell = Shell::of(&host);
        let folder = shell.folder.path().to_owned();
        Self { host, shell, folder }
    }

    /// Runs the commands of a block, or writes its file.
    async fn follow(&mut self, block: &Block<'_>) {
        match (block.language, block.file) {
            ("sh", None) => {
                for line in block.text.lines() {
                    self.run(line).await;
                }
            }
            (_, Some(file)) => write(&self.folder, file, &block.text),
            (language, None) => panic!("a block in {language} that belongs to no file"),
        }
    }

    async fn run(&mut self, line: &str) {
        let (command, comment) = line.split_once('#').unwrap_or((line, ""));
        match command.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["cd", folder] => self.folder = self.folder.join(folder),
            ["rm", files @ ..] => files.iter().for_each(|file| fs::remove_file(self.folder.join(file)).unwrap()),
            ["npm", "install"] => templates::install_npm_packages(&self.folder),
            // The next command takes a virtual environment that is there.
            ["python3", "-m", "venv", ".venv"] => {}
            [".venv/bin/pip", "install", "-r", "requirements.txt"] => templates::install_pip_packages(&self.folder),
            ["ticketing", "plugin", "build"] => {
                build(&self.folder).await.done();
            }
            ["ticketing", "plugin", "test"] => {
                test(&self.folder).await.done();
            }
            ["ticketing", "plugin", arguments @ ..] => {
                let mut command = self.shell.command(&arguments.join(" "));
                let output = command.current_dir(&self.folder).output().await.unwrap();
                Ended::of(&output).done();
            }
            ["curl", "-d", body, url] => {
                let (body, path) = (body.trim_matches('\'').to_owned(), path(url));
                let reply = self.host.visitor().raw(Method::POST, path, body).await;
                assert!(reply.status < 300, "{line}: {reply:?}");
            }
            ["curl", request @ ..] => self.ask(request, comment.trim()).await,
            _ => panic!("the guide has a command that this test does not know: {line}"),
        }
    }

    /// Sends a request until the answer is the one that the guide promises,
    /// because events and timers take some time.
    async fn ask(&self, request: &[&str], promised: &str) {
        let (method, url) = match request {
            ["-X", method, url] => (method.parse().unwrap(), url),
            [url] => (Method::GET, url),
            _ => panic!("{request:?}"),
        };
        let path = path(url);
        let visitor = self.host.visitor();
        if method != Method::GET {
            let reply = visitor.send(method, path, None).await;
            assert_eq!(reply.text.trim_end(), promised);
            return;
        }
        let asking = async || visitor.get(path).await.text.trim_end().to_owned();
        eventually(promised, asking, |answer| answer == promised).await;
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
}

/// The path of a URL of the host.
fn path(url: &str) -> &str {
    url.strip_prefix("http://127.0.0.1:8080").unwrap()
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn the_guide_leads_to_a_plugin_that_serves_is_swapped_and_keeps_its_state() {
    let mut author = Author::new().await;
    // "Now change ... in ..." is the only step that is not in a block.
    let change = GUIDE.lines().find(|line| line.starts_with("Now change ")).unwrap();
    let words: Vec<&str> = change.split('`').skip(1).step_by(2).collect();
    let &[from, file, to, ..] = words.as_slice() else { panic!("{change}") };

    let blocks = blocks(GUIDE, "## Errors");
    assert_eq!(blocks.iter().filter(|block| block.language == "sh").count(), 4);
    assert_eq!(blocks.iter().filter(|block| block.file.is_some()).count(), 3);
    for (index, block) in blocks.iter().enumerate() {
        author.follow(block).await;
        if index == 0 {
            author.edit(file, from, to);
        }
    }
    let plugin = author.host.operator().plugin("hello").await;
    assert_eq!((&plugin["version"], &plugin["status"]), (&"0.2.0".into(), &"active".into()), "{plugin}");
}

/// Follows the page of a language up to the first heading of its second part.
async fn follow(page: &str) {
    let mut author = Author::new().await;
    let blocks = blocks(page, "\n## ");
    assert_eq!(blocks.iter().filter(|block| block.language == "sh").count(), 2);
    assert!(blocks.iter().filter(|block| block.file.is_some()).count() >= 4);
    for block in &blocks {
        author.follow(block).await;
    }
    assert_eq!(author.host.operator().plugin("notes").await["status"], "active");
}

#[tokio::test]
async fn the_page_for_rust_leads_to_a_plugin_that_serves() {
    follow(include_str!("../../../../wit/rust.md")).await;
}

#[tokio::test]
async fn the_page_for_wasi_http_leads_to_a_plugin_that_serves() {
    follow(include_str!("../../../../wit/wasi-http.md")).await;
}

#[tokio::test]
async fn the_page_for_javascript_leads_to_a_plugin_that_serves() {
    follow(include_str!("../../../../wit/javascript.md")).await;
}

#[tokio::test]
async fn the_page_for_python_leads_to_a_plugin_that_serves() {
    follow(include_str!("../../../../wit/python.md")).await;
}

#[tokio::test]
async fn the_page_for_go_leads_to_a_plugin_that_serves() {
    follow(include_str!("../../../../wit/go.md")).await;
}
