//! `ticketing apply`: the plugins of a host become as a file says.

use super::{Ended, Shell};
use crate::support::{Host, PluginFile, Setup, chameleon, eventually, guest};
use serde_json::{Value, json};
use std::process::Stdio;

/// The entry of the chameleon. The rest of its keys can follow.
const GREEN: &str = "[[plugin]]\nname = \"chameleon\"\nfile = \"green.wasm\"\npolicy = { grants = [\"store\"] }\n";

/// A host without plugins, and a shell with two versions of the chameleon.
async fn with_files() -> (Host, Shell) {
    let host = Setup::without_components().start().await;
    let shell = Shell::of(&host);
    shell.write("green.wasm", chameleon("1.0.0", "green", "good"));
    shell.write("red.wasm", chameleon("2.0.0", "red", "good"));
    (host, shell)
}

impl Shell {
    /// Applies a file with this text.
    async fn apply(&self, text: &str, flags: &str) -> Ended {
        self.write("plugins.toml", text);
        self.host(&format!("apply -f plugins.toml {flags}")).await
    }

    /// Applies it and returns the lines of the difference.
    async fn applied(&self, text: &str) -> Vec<String> {
        let done = self.apply(text, "--yes").await;
        let lines = done.done().lines().filter(|line| line.starts_with(['+', '-', '~']));
        lines.map(str::to_owned).collect()
    }
}

async fn audit(host: &Host) -> Vec<Value> {
    host.operator().get("/audit?limit=1000").await.json().as_array().unwrap().clone()
}

/// Asserts that the host is as the file says, and that the command leaves no trace.
async fn is_applied(host: &Host, shell: &Shell, text: &str) {
    let before = audit(host).await.len();
    for flags in ["--yes", "--dry-run", ""] {
        assert_eq!(shell.apply(text, flags).await.done(), "nothing to change\n", "{flags}");
    }
    assert_eq!(audit(host).await.len(), before, "no request that the audit has");
}

#[tokio::test]
async fn the_first_run_installs_and_the_second_changes_nothing() {
    let (host, shell) = with_files().await;
    let before = audit(&host).await.len();
    let shown = shell.apply(GREEN, "--dry-run").await;
    shown.fails(7, "2 changes are not made; --yes makes them");
    assert!(shown.stdout.starts_with("+ chameleon: revision "), "{}", shown.stdout);
    assert!(shown.stdout.ends_with("\n+ chameleon: policy grants store\n"), "{}", shown.stdout);
    shell.apply(GREEN, "").await.fails(7, "2 changes are not made");
    assert_eq!(audit(&host).await.len(), before, "it has only looked");

    assert_eq!(shell.applied(GREEN).await.len(), 2);
    assert_eq!(host.visitor().colour().await, "green");
    is_applied(&host, &shell, GREEN).await;
    let actions: Vec<Value> = audit(&host).await.into_iter().take(3).map(|row| row["action"].clone()).collect();
    assert_eq!(actions, ["activate", "upload", "policy"], "the newest first");

    let lines = shell.apply(&GREEN.replace("green", "red"), "--dry-run --json").await;
    assert_eq!(lines.code, 7);
    let line: Value = serde_json::from_str(lines.stdout.trim()).unwrap();
    assert_eq!((&line["plugin"], &line["change"]), (&json!("chameleon"), &json!("~")));
}

#[tokio::test]
async fn limits_settings_and_a_pause_follow_the_file() {
    let (host, shell) = with_files().await;
    let text = format!("{GREEN}settings = {{ colour = \"blue\" }}\nlimits = {{ queue = 3 }}\n");
    shell.applied(&text).await;
    assert_eq!(host.visitor().colour().await, "blue");
    is_applied(&host, &shell, &text).await;

    let text = format!("{GREEN}settings = {{ colour = \"pink\" }}\nlimits = {{ queue = 5, memory_mib = 32 }}\n");
    let lines = shell.applied(&text).await;
    let expected = [
        "+ chameleon: limit memory_mib = 32",
        "~ chameleon: limit queue = 3 -> 5",
        "~ chameleon: setting colour = blue -> pink",
    ];
    assert_eq!(lines, expected);
    assert_eq!(host.visitor().colour().await, "pink");
    let limits = host.operator().plugin("chameleon").await["limits"].clone();
    assert_eq!(limits, json!({ "queue": 5, "memory_mib": 32 }));

    let text = format!("{GREEN}settings = {{}}\nlimits = {{}}\npaused = true\n");
    let lines = shell.applied(&text).await;
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(host.visitor().get("/chameleon").await.status, 503);
    is_applied(&host, &shell, &text).await;
    assert_eq!(shell.applied(&text.replace("true", "false")).await, ["~ chameleon: serves again after its pause"]);
    assert_eq!(host.visitor().colour().await, "green");
}

#[tokio::test]
async fn a_secret_comes_from_a_file_and_is_never_shown() {
    let (host, shell) = with_files().await;
    let secret =
        PluginFile::read(&guest("chameleon")).with("type = \"string\"\ndefault = \"green\"", "type = \"secret\"");
    shell.write("green.wasm", secret.bytes());
    shell.write("key.txt", "s3cret\n");
    let text = format!("{GREEN}settings = {{ colour = {{ file = \"key.txt\" }} }}\n");
    let done = shell.apply(&text, "--yes").await;
    assert!(done.done().contains("\n+ chameleon: secret colour\n"), "{}", done.stdout);
    assert!(!done.stdout.contains("s3cret"), "{}", done.stdout);
    assert_eq!(host.visitor().colour().await, "s3cret");
    is_applied(&host, &shell, &text).await;
    shell.write("key.txt", "an0ther\n");
    is_applied(&host, &shell, &text).await;
    shell.apply(&text, "--yes --send-secrets").await.done();
    assert_eq!(host.visitor().colour().await, "an0ther");
    shell.apply(&text, "--yes --send-secrets").await.done();
    let text = format!("{GREEN}settings = {{ colour = \"s3cret\" }}\n");
    let refused = shell.apply(&text, "--yes").await;
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("colour is a secret; write { file = \"PATH\" }"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_new_file_is_tried_and_promoted() {
    let (host, shell) = with_files().await;
    shell.applied(GREEN).await;
    let trial = format!("{}canary = {{ percent = 1, promote_after_seconds = 3600 }}\n", GREEN.replace("green", "red"));
    let lines = shell.applied(&trial).await;
    assert!(
        lines.len() == 1 && lines[0].starts_with("+ chameleon: canary ") && lines[0].ends_with(" with 1%"),
        "{lines:?}"
    );
    let wanted = host.visitor().with_header("x-plugin-canary", "chameleon");
    assert_eq!(wanted.colour().await, "red");
    is_applied(&host, &shell, &trial).await;

    let limited = format!("{trial}limits = {{ queue = 3 }}\n");
    let lines = shell.applied(&limited).await;
    assert!(lines.iter().any(|line| line.ends_with("begins again")), "a swap ends the trial: {lines:?}");
    assert_eq!(wanted.colour().await, "red");
    is_applied(&host, &shell, &limited).await;

    shell.applied(GREEN).await;
    assert_eq!(wanted.colour().await, "green", "the trial has ended");
    shell.applied(&trial).await;
    let lines = shell.applied(&GREEN.replace("green", "red")).await;
    assert!(lines.len() == 1 && lines[0].ends_with("which is the canary"), "{lines:?}");
    assert_eq!(host.visitor().colour().await, "red");
    is_applied(&host, &shell, &trial).await;
}

#[tokio::test]
async fn a_refused_plugin_changes_nothing_and_the_others_are_applied() {
    let (host, shell) = with_files().await;
    shell.write("text.wasm", "no component");
    let broken = "[[plugin]]\nname = \"broken\"\nfile = \"text.wasm\"\n";
    let text = format!("{broken}{GREEN}");
    let done = shell.apply(&text, "--yes").await;
    assert_eq!(done.code, 3, "{}", done.stderr);
    let errors: Vec<&str> = done.stderr.lines().collect();
    assert!(errors.len() == 2 && errors[0].starts_with("error: broken: "), "{errors:?}");
    assert!(errors[0].contains("not WebAssembly"), "{errors:?}");
    assert_eq!(errors[1], "error: 1 of 2 plugins failed, and the host is not as the file says");
    assert_eq!(host.visitor().colour().await, "green");

    let drops = PluginFile::read(&guest("chameleon"))
        .version("3.0.0")
        .migration("0002_more", "CREATE TABLE more (id TEXT); ALTER TABLE applied RENAME TO done");
    shell.write("red.wasm", drops.bytes());
    let text = format!("{}limits = {{ queue = 3 }}\npaused = true\n", GREEN.replace("green", "red"));
    for _ in 0..2 {
        let refused = shell.apply(&text, "--yes").await;
        assert_eq!(refused.code, 3, "{}", refused.stderr);
        assert!(refused.stderr.contains("it renames applied"), "{}", refused.stderr);
        assert!(refused.stderr.contains("--force` activates it"), "{}", refused.stderr);
    }
    let plugin = host.operator().plugin("chameleon").await;
    assert_eq!((&plugin["limits"], &plugin["status"]), (&json!({}), &json!("active")));
    assert_eq!(plugin["version"], "1.0.0");
    let uploads = audit(&host).await.into_iter().filter(|row| row["action"] == "upload").count();
    assert_eq!(uploads, 3, "the second run finds the revision on the host");
}

#[tokio::test]
async fn a_plugin_that_is_absent_is_removed_and_others_stay() {
    let (host, shell) = with_files().await;
    shell.applied(GREEN).await;
    let other = "[[plugin]]\nname = \"other\"\nabsent = true\n";
    is_applied(&host, &shell, other).await;
    assert_eq!(host.visitor().colour().await, "green", "the file does not name it");
    let absent = other.replace("other", "chameleon");
    let lines = shell.applied(&absent).await;
    assert!(lines.len() == 1 && lines[0].ends_with("its database and revisions stay"), "{lines:?}");
    assert_eq!(host.visitor().get("/chameleon").await.status, 404);
    is_applied(&host, &shell, &absent).await;
    shell.applied(GREEN).await;
    assert_eq!(host.visitor().colour().await, "green");
    is_applied(&host, &shell, GREEN).await;
}

#[tokio::test]
async fn a_watch_repairs_what_others_change_and_takes_each_save() {
    let (host, shell) = with_files().await;
    let absent = "[[plugin]]\nname = \"hello\"\nabsent = true\n";
    shell.write("plugins.toml", format!("{GREEN}settings = {{}}\n{absent}"));
    let mut command = shell.program("apply -f plugins.toml --watch --interval 1");
    let mut watching = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let becomes = async |colour: &str| {
        let asking = async || host.visitor().get("/chameleon").await.text;
        eventually(colour, asking, |text| text.contains(colour)).await;
    };
    becomes("\"green\"").await;
    shell.plugin("config chameleon colour=black").await.done();
    becomes("\"green\"").await;
    shell.plugin("remove chameleon").await.done();
    becomes("\"green\"").await;
    shell.write("green.wasm", chameleon("1.1.0", "yellow", "good"));
    becomes("\"yellow\"").await;

    let uploads = async || audit(&host).await.into_iter().filter(|row| row["action"] == "upload").count();
    let before = uploads().await;
    shell.write("green.wasm", "no component");
    eventually("the file is refused", uploads, |uploads| *uploads > before).await;
    // The command compares twice more: it removes what may not be there.
    let hello = std::fs::read(guest("hello")).unwrap();
    let before = before + 2;
    for _ in 0..2 {
        host.operator().deploy("hello", hello.clone()).await;
        let asking = async || host.visitor().get("/hello").await.status;
        eventually("hello is removed", asking, |status| *status == 404).await;
    }
    assert_eq!(uploads().await, before + 1, "the command does not send a refused file again");
    becomes("\"yellow\"").await;
    assert!(watching.try_wait().unwrap().is_none(), "the command goes on");
    watching.kill().await.unwrap();
}

#[tokio::test]
async fn a_wrong_file_is_refused_before_anything_is_sent() {
    let (host, shell) = with_files().await;
    let before = audit(&host).await.len();
    for (text, reason) in [
        (&*format!("{GREEN}sha256 = \"{}\"\n", "0".repeat(64)), "take the file that you mean, or correct sha256"),
        (&format!("{GREEN}setings = {{}}\n"), "line 5: unknown field `setings`, expected one of `name`, `file`"),
        (&GREEN.replace("grants", "grant"), "line 4: unknown field `grant`, expected one of `grants`"),
        (&GREEN.replace("\"chameleon\"", "\"lizard\""), "contains the plugin chameleon; correct name or file"),
        (&GREEN.replace("green", "blue"), "blue.wasm: No such file"),
        (&format!("{GREEN}{GREEN}"), "chameleon: it has two entries"),
        (&format!("{GREEN}absent = true\n"), "`absent = true` removes the plugin; remove the other keys"),
        (&format!("{GREEN}canary = {{ percent = 100 }}\n"), "canary.percent must be 1 to 99"),
        (&format!("{GREEN}settings = {{ colour = 1.5 }}\n"), "settings.colour: must be a text"),
        ("", "it names no plugin; add a table [[plugin]]"),
    ] {
        shell.apply(text, "--yes").await.fails(2, reason);
    }
    let unknown = shell.apply(&format!("{GREEN}settings = {{ size = 1 }}\n"), "--yes").await;
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("declares no setting size; it knows colour, mood"), "{}", unknown.stderr);
    shell.host("apply -f none.toml").await.fails(1, "none.toml: No such file");
    assert_eq!(shell.host("apply").await.code, 2);
    assert_eq!(audit(&host).await.len(), before);
    let plugins = host.operator().get("/plugins").await.json();
    assert_eq!(plugins, json!([]));
}
