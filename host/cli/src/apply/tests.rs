use super::{fake_host::FakeHost, *};
use clap::Parser;
use std::fs;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    apply: Apply,
}

/// A host, and a folder with the files.
struct Setup {
    host: FakeHost,
    folder: TempDir,
}

impl Setup {
    async fn new() -> Self {
        Self { host: FakeHost::start().await, folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs the command with these flags. Returns the exit code and the requests that
    /// change something.
    async fn run(&self, text: &str, flags: &[&str]) -> (u8, Vec<String>) {
        let code = self.ask(text, flags).await.map_or_else(|failure| failure.code(), |()| 0);
        (code, self.host.changes())
    }

    async fn ask(&self, text: &str, flags: &[&str]) -> Result<(), Failure> {
        let file = self.write("plugins.toml", text);
        let flags = ["apply", "-f", &file].into_iter().chain(flags.iter().copied());
        Command::parse_from(flags).apply.ask(&self.host.client, Output { json: true }).await
    }
}

const HELLO: &str = "[[plugin]]\nname = \"hello\"\nfile = \"hello.wasm\"\n";

#[tokio::test]
async fn a_plugin_is_installed_once_and_then_nothing_is_sent() {
    let setup = Setup::new().await;
    setup.write("hello.wasm", "hello 1");
    setup.write("key.txt", "s3cret");
    let text = &format!(
        "{HELLO}policy = {{ visitor = true }}\nlimits = {{ queue = 3 }}\nsettings = {{ greeting = \"Hi\", key = {{ file = \"key.txt\" }} }}\npaused = true\n"
    );
    assert_eq!(setup.run(text, &["--dry-run"]).await, (7, vec![]));
    assert_eq!(setup.run(text, &[]).await, (7, vec![]), "a test has no terminal");
    let sent = [
        "PUT hello/policy",
        "POST upload",
        "PUT hello/limits",
        "PUT hello/config",
        "POST hello/activate",
        "POST hello/pause",
    ];
    assert_eq!(setup.run(text, &["--yes"]).await, (0, sent.map(str::to_owned).to_vec()));
    for flags in [&["--yes"][..], &["--dry-run"], &[]] {
        assert_eq!(setup.run(text, flags).await, (0, vec![]));
    }
    assert_eq!(setup.run(text, &["--yes", "--send-secrets"]).await.1, ["PATCH hello/config", "POST hello/pause"]);
    let fewer = text.replace("greeting = \"Hi\", ", "").replace("queue = 3", "");
    let sent = ["PUT hello/limits", "PATCH hello/config", "POST hello/pause"];
    assert_eq!(setup.run(&fewer, &["--yes"]).await, (0, sent.map(str::to_owned).to_vec()));
    assert_eq!(setup.run(&fewer, &["--yes"]).await, (0, vec![]));
    let absent = "[[plugin]]\nname = \"hello\"\nabsent = true\n";
    assert_eq!(setup.run(absent, &["--yes"]).await, (0, vec!["DELETE hello".to_owned()]));
    assert_eq!(setup.run(absent, &["--yes"]).await, (0, vec![]));
}

#[tokio::test]
async fn a_trial_begins_and_ends() {
    let setup = Setup::new().await;
    setup.write("hello.wasm", "hello 1");
    setup.run(HELLO, &["--yes"]).await;
    setup.write("hello.wasm", "hello 2");
    let trial = &format!("{HELLO}canary = {{ percent = 10 }}\n");
    assert_eq!(setup.run(trial, &["--yes"]).await.1, ["POST upload", "POST hello/activate"]);
    assert_eq!(setup.run(trial, &["--yes"]).await, (0, vec![]));
    setup.write("hello.wasm", "hello 1");
    assert_eq!(setup.run(trial, &["--yes"]).await.1, ["POST hello/rollback"]);
    setup.write("hello.wasm", "hello 2");
    assert_eq!(setup.run(trial, &["--yes"]).await.1, ["POST hello/activate"], "the host has the file");
    assert_eq!(setup.run(HELLO, &["--yes"]).await.1, ["POST hello/promote"]);
}

#[tokio::test]
async fn a_refusal_ends_the_steps_of_its_plugin_alone() {
    let setup = Setup::new().await;
    for (file, content) in [("bad.wasm", "broken"), ("worse.wasm", "worse other"), ("hello.wasm", "hello 1")] {
        setup.write(file, content);
    }
    let entry = |name: &str| {
        format!("[[plugin]]\nname = \"{name}\"\nfile = \"{name}.wasm\"\nlimits = {{ queue = 1 }}\npaused = true\n")
    };
    let text = &["bad", "worse"].map(entry).concat();
    let text = &format!("{text}{HELLO}");
    let sent = ["POST upload", "POST upload", "POST upload", "POST hello/activate"];
    assert_eq!(setup.run(text, &["--yes"]).await, (3, sent.map(str::to_owned).to_vec()));
    let failure = setup.ask(text, &["--yes"]).await.unwrap_err();
    assert_eq!(failure.to_string(), "2 of 3 plugins failed, and the host is not as the file says");
    let wrong = format!("{HELLO}sha256 = \"00\"\n");
    setup.host.changes();
    assert_eq!(setup.run(&wrong, &["--yes"]).await, (2, vec![]));
}

#[tokio::test]
async fn a_watch_repairs_what_others_change_and_never_repeats_a_refusal() {
    let setup = Setup::new().await;
    setup.write("hello.wasm", "hello 1");
    setup.write("bad.wasm", "broken");
    let bad = "[[plugin]]\nname = \"bad\"\nfile = \"bad.wasm\"\n";
    let file = setup.write("plugins.toml", &format!("{bad}{HELLO}settings = {{ greeting = \"Hi\" }}\n"));
    let interval = Duration::from_millis(100);
    let watching = watch::watch(&setup.host.client, Output { json: true }, file.as_ref(), interval);
    let scenario = async {
        let next = async |expected: &[&str]| {
            let mut sent = Vec::new();
            while sent.len() < expected.len() {
                sent.extend(setup.host.changes());
                sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(sent, expected);
        };
        next(&["POST upload", "POST upload", "PUT hello/config", "POST hello/activate"]).await;
        sleep(interval * 5).await;
        next(&[]).await;
        setup.host.forget_settings("hello");
        next(&["PATCH hello/config"]).await;
        setup.write("bad.wasm", "broken again");
        next(&["POST upload"]).await;
        setup.write("bad.wasm", "bad 1");
        next(&["POST upload", "POST bad/activate"]).await;
        setup.write("plugins.toml", "half a fi");
        sleep(interval * 3).await;
        setup.write("plugins.toml", "[[plugin]]\nname = \"bad\"\nabsent = true\n");
        next(&["DELETE bad"]).await;
        sleep(interval * 5).await;
        assert!(setup.host.changes().is_empty());
    };
    tokio::select! {
        ended = watching => panic!("the watch ended: {ended:?}"),
        done = timeout(PATIENCE, scenario) => done.unwrap(),
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_fails_at_once() {
    let setup = Setup::new().await;
    let file = setup.write("plugins.toml", "[[plugin]]\nname = \"hello\"\nabsent = true\n");
    let address = "http://127.0.0.1:9".parse().unwrap();
    let nobody = Client::new(&crate::plugin::connection::Target { address, token: None }).unwrap();
    let apply = Command::parse_from(["apply", "-f", &file]).apply;
    assert_eq!(apply.ask(&nobody, Output { json: true }).await.unwrap_err().code(), 5);
}
