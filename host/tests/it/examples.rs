//! The plugins of `examples/`, as an author meets them. Each folder is copied,
//! and the commands in its README are run in the copy. They print what the
//! README shows.

use crate::{
    plugin_cli::{Shell, compile},
    support::{Host, Setup, copy_folder, eventually, guest},
};
use http::Method;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The results of builds, and the data of hosts.
const BUILT: [&str; 3] = ["target", "node_modules", "data"];

#[tokio::test]
async fn hello_does_what_its_readme_shows() {
    does_what_its_readme_shows("hello").await;
}

#[tokio::test]
async fn the_guestbook_does_what_its_readme_shows() {
    let host = does_what_its_readme_shows("guestbook").await;
    let (visitor, operator) = (host.visitor(), host.operator());
    for (message, status) in [(String::new(), 400), ("x".repeat(1_001), 413), ("x".repeat(1_000), 200)] {
        assert_eq!(visitor.raw(Method::POST, "/guestbook/anna", message).await.status, status);
    }
    let plugin = operator.plugin("guestbook").await;
    assert_eq!(plugin["status"], "active", "{plugin}");
}

#[tokio::test]
async fn the_poll_in_javascript_does_what_its_readme_shows() {
    let host = does_what_its_readme_shows("javascript").await;
    // Two instances would make the same ids if they had no true random numbers.
    let visitor = host.visitor();
    let votes = (0..12).map(|_| visitor.raw(Method::POST, "/poll/spaces", ""));
    let votes = futures::future::join_all(votes).await;
    assert!(votes.iter().all(|vote| vote.status == 200), "{votes:?}");
    let database = host.database("components/poll.db").await;
    assert_eq!(database.number("SELECT count(DISTINCT id) FROM votes").await, 13);
    let last_ms = database.number("SELECT max(cast_ms) FROM votes").await;
    let age_ms = now_ms() - last_ms;
    assert!((0..60_000).contains(&age_ms), "{age_ms} ms");
    assert!(host.log().contains("a vote for spaces"), "the output is in the log");
}

#[tokio::test]
async fn the_words_in_python_do_what_their_readme_shows() {
    does_what_its_readme_shows("python").await;
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// Runs every command of an example's README. Returns the host with the plugin.
async fn does_what_its_readme_shows(name: &str) -> Host {
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let host = Setup::without_components().start().await;
    let shell = Shell::of(&host);
    let folder = shell.folder.path().join(name);
    copy_folder(&original, &folder, &BUILT);
    let author = Author { host, shell, folder };
    let steps = steps(&fs::read_to_string(original.join("README.md")).unwrap());
    assert!(steps.iter().any(|step| step.command.starts_with("curl ")), "the README of {name} asks for nothing");
    for step in steps {
        author.run(&step).await;
    }
    author.host
}

/// A command of a README, and the output below it.
struct Step {
    command: String,
    shown: String,
}

/// The steps in the blocks of the language `console`, in order.
fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => inside = line == "```console",
            Some(command) if inside => steps.push(Step { command: command.to_owned(), shown: String::new() }),
            None if inside => {
                let step = steps.last_mut().expect("a block begins with a command");
                step.shown += &format!("{line}\n");
            }
            _ => {}
        }
    }
    steps
}

/// An author who has copied an example.
struct Author {
    host: Host,
    shell: Shell,
    folder: PathBuf,
}

impl Author {
    async fn run(&self, step: &Step) {
        let words = words(&step.command);
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["cargo", "build", ..] => drop(compile(&self.folder).await),
            // `cargo xtask` has done both in a copy of its own.
            ["npm" | "pip", "install", ..] => {}
            ["npm", "run", "build"] => drop(fs::copy(guest("poll"), self.folder.join("component.wasm")).unwrap()),
            ["componentize-py", ..] => drop(fs::copy(guest("words"), self.folder.join("component.wasm")).unwrap()),
            // The host of this test serves.
            ["ticketing", "serve", ..] => {}
            // The next request is made until it has the answer.
            ["sleep", _] => {}
            ["ticketing", "plugin", arguments @ ..] => {
                let mut command = self.shell.command(&arguments.join(" "));
                let output = command.current_dir(&self.folder).output().await.unwrap();
                let printed = String::from_utf8(output.stdout).unwrap();
                assert!(output.status.success(), "{}: {}", step.command, String::from_utf8_lossy(&output.stderr));
                assert!(
                    step.shown.is_empty() || alike(&step.shown, &printed),
                    "{}\nshown:\n{}\nprinted:\n{printed}",
                    step.command,
                    step.shown
                );
            }
            ["curl", arguments @ ..] => self.ask(arguments, &step.shown).await,
            _ => panic!("a README has a command that this test does not know: {}", step.command),
        }
    }

    /// Sends a request. One that reads is repeated until the answer is the one
    /// that the README shows, because events and timers take their time.
    async fn ask(&self, arguments: &[&str], shown: &str) {
        let (method, body, url) = match arguments {
            [url] => (Method::GET, "", url),
            ["-X", method, url] => (method.parse().unwrap(), "", url),
            ["-d", body, url] => (Method::POST, *body, url),
            _ => panic!("{arguments:?}"),
        };
        let path = url.strip_prefix("http://127.0.0.1:8080").unwrap();
        let visitor = self.host.visitor();
        if method == Method::GET {
            eventually(shown, async || visitor.get(path).await.text, |text| text == shown).await;
        } else {
            let reply = visitor.raw(method, path, body.to_owned()).await;
            assert_eq!(reply.text, shown, "{arguments:?}");
        }
    }
}

/// The words of a command, of which some are in single quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in command.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Whether two outputs differ only in words with digits (sizes, times, digests)
/// and in the way in which the host got the machine code.
fn alike(shown: &str, printed: &str) -> bool {
    let without_code = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.split_once(", compiled ").map_or(line, |(before, _)| before));
        lines.map(str::to_owned).collect()
    };
    let has_digit = |word: &str| word.contains(|letter: char| letter.is_ascii_digit());
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines_alike = |(shown, printed): (&String, &String)| {
        let (shown, printed) = (words(shown), words(printed));
        shown.len() == printed.len()
            && shown.iter().zip(&printed).all(|(one, other)| one == other || (has_digit(one) && has_digit(other)))
    };
    let (shown, printed) = (without_code(shown), without_code(printed));
    shown.len() == printed.len() && shown.iter().zip(&printed).all(lines_alike)
}
