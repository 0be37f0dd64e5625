//! Commands that need a host: a plugin's life on a running host.

use super::Shell;
use crate::support::{Host, PATIENCE, PluginFile, Setup, chameleon, eventually, guest};
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

/// A host without plugins, and a shell with the files `green.wasm` and
/// `red.wasm`, two versions of one plugin.
async fn with_files() -> (Host, Shell) {
    let host = Setup::without_components().start().await;
    let shell = Shell::of(&host);
    shell.write("green.wasm", chameleon("1.0.0", "green", "good"));
    shell.write("red.wasm", chameleon("2.0.0", "red", "good"));
    shell.plugin("policy chameleon --grant store").await.done();
    (host, shell)
}

impl Shell {
    /// Uploads a file. Returns its revision.
    async fn push(&self, file: &str) -> String {
        let verdict = self.plugin(&format!("push {file} --json")).await.json();
        verdict["revision"].as_str().unwrap().to_owned()
    }

    async fn show(&self) -> Value {
        self.plugin("show chameleon --json").await.json()
    }
}

async fn colour(host: &Host) -> Value {
    host.visitor().get("/chameleon").await.json()["colour"].clone()
}

#[tokio::test]
async fn a_plugin_is_pushed_activated_listed_and_rolled_back() {
    let (host, shell) = with_files().await;
    let pushed = shell.plugin("push green.wasm").await;
    assert!(pushed.done().starts_with("chameleon 1.0.0+"), "{}", pushed.stdout);
    for part in
        ["+ route       GET /chameleon\n", "  wants       clocks, config, logging, store\n", "\na host can run it\n"]
    {
        assert!(pushed.stdout.contains(part), "{part}: {}", pushed.stdout);
    }
    assert_eq!(pushed.stderr, "", "a script sees no progress bar");
    assert_eq!(host.visitor().get("/chameleon").await.status, 404, "no revision serves yet");
    let green = shell.push("green.wasm").await;

    let report = shell.plugin(&format!("activate chameleon {green}")).await;
    assert!(report.done().starts_with(&format!("chameleon {green} is active (nothing before it)\n")), "{report:?}");
    assert!(report.stdout.contains("migrated 0001_tables\n"), "{report:?}");
    assert!(report.stdout.contains("the probe GET /chameleon/health answered 204"), "{report:?}");
    assert_eq!(colour(&host).await, "green");

    let pushed = shell.plugin("push red.wasm --activate").await;
    assert!(pushed.done().contains(&format!("compatible with {green}\n")), "{}", pushed.stdout);
    assert!(pushed.stdout.contains(&format!("is active (before: {green})")), "{}", pushed.stdout);
    assert_eq!(colour(&host).await, "red");

    let red = shell.show().await["revision"].as_str().unwrap().to_owned();
    let list = shell.plugin("list").await;
    let lines: Vec<&str> = list.done().lines().collect();
    assert!(lines[0].starts_with("NAME       REVISION "), "{lines:?}");
    assert!(lines[1].starts_with(&format!("chameleon  {red}  active ")), "{lines:?}");
    assert_eq!(shell.plugin("list --json").await.json()[0]["revision"], red.as_str());

    let revisions = shell.plugin("revisions chameleon").await;
    for (revision, status) in [(&red, "active"), (&green, "previous")] {
        let line = revisions.done().lines().find(|line| line.starts_with(revision.as_str())).unwrap();
        assert!(line.contains(status) && line.contains("upload"), "{line}");
    }
    let back = shell.plugin("rollback chameleon --json").await.json();
    assert_eq!((&back["old"], &back["new"], &back["dropped"]), (&json!(red), &json!(green), &json!(0)));
    assert_eq!(colour(&host).await, "green");

    shell.plugin("remove chameleon").await.done();
    assert_eq!(host.visitor().get("/chameleon").await.status, 404);
    shell.plugin("show chameleon").await.fails(1, "there is no plugin chameleon");
}

#[tokio::test]
async fn a_secret_is_read_from_a_file_and_not_from_the_command_line() {
    let (host, shell) = with_files().await;
    let colour_of = "[config.colour]\ntype = \"string\"\ndefault = \"green\"";
    let secretive = PluginFile::read(&guest("chameleon")).with(colour_of, "[config.colour]\ntype = \"secret\"");
    shell.write("secretive.wasm", secretive.bytes());
    shell.write("key.txt", "s3cret\n");
    let revision = shell.push("secretive.wasm").await;
    shell.plugin("config chameleon --secret color=key.txt").await.fails(3, "declares no setting color");
    shell.plugin("config chameleon --secret colour=key.txt").await.done();
    shell.plugin(&format!("activate chameleon {revision}")).await.done();
    assert_eq!(colour(&host).await, "s3cret", "it was set before the first activation");
    shell.plugin("config chameleon --unset colour").await.done();
    let advice = "use --secret colour=FILE, or --secret colour=- for standard input";
    shell.plugin("config chameleon colour=s3cret").await.fails(2, advice);
    shell.plugin("config chameleon --secret mood=key.txt").await.fails(2, "chameleon declares no secret mood");
    shell.plugin("config chameleon --secret colour=missing.txt").await.fails(1, "missing.txt: No such file");
    shell.write("empty.txt", "\n");
    shell.plugin("config chameleon --secret colour=empty.txt").await.fails(1, "empty.txt: the secret is empty");
    shell.plugin("config chameleon mood=slow --secret colour=key.txt").await.done();
    assert_eq!(colour(&host).await, "s3cret");
    let shown = shell.plugin("config chameleon").await;
    assert!(shown.done().contains("(secret)") && !shown.stdout.contains("s3cret"), "{}", shown.stdout);
    shell.plugin("config chameleon --unset mood").await.done();
    assert_eq!(colour(&host).await, "s3cret", "the secret stays");
    shell.plugin("config chameleon --unset colour").await.done();
    assert_eq!(colour(&host).await, Value::Null);
}

#[tokio::test]
async fn a_revision_is_tried_promoted_paused_and_resumed() {
    let (host, shell) = with_files().await;
    shell.plugin("push green.wasm --activate").await.done();
    let tried = shell.plugin("push red.wasm --canary 10 --promote-after 3600").await;
    assert!(tried.done().contains("gets 10% of the work"), "{}", tried.stdout);
    let shown = shell.plugin("show chameleon").await;
    let canary = shown.done().lines().find(|line| line.contains("canary ")).unwrap();
    assert!(canary.contains("10% of requests") && canary.contains("serves alone in "), "{canary}");
    assert!(shell.plugin("list").await.done().contains(" at 10%"));
    let wanted = host.visitor().with_header("x-plugin-canary", "chameleon");
    assert_eq!(wanted.get("/chameleon").await.json()["colour"], "red");

    shell.plugin("rollback chameleon").await.done();
    assert_eq!(wanted.get("/chameleon").await.json()["colour"], "green", "the trial has ended");
    shell.plugin("promote chameleon").await.fails(3, "no revision on trial");
    let red = shell.push("red.wasm").await;
    shell.plugin(&format!("activate chameleon {red} --canary 1")).await.done();
    let promoted = shell.plugin("promote chameleon").await;
    assert!(promoted.done().starts_with(&format!("chameleon {red} is active")), "{}", promoted.stdout);
    assert_eq!(colour(&host).await, "red");
    assert_eq!(shell.plugin("activate chameleon 1 --promote-after 5").await.code, 2, "only a trial has an end");

    assert!(shell.plugin("pause chameleon").await.done().contains("paused"));
    assert_eq!(host.visitor().get("/chameleon").await.status, 503);
    assert!(shell.plugin("resume chameleon").await.done().contains("active"));
    assert_eq!(colour(&host).await, "red");
    let audit = shell.plugin("audit").await;
    for action in ["upload", "activate", "rollback", "promote", "pause", "resume"] {
        assert!(audit.done().contains(action), "{action}: {}", audit.stdout);
    }
}

#[tokio::test]
async fn an_incompatible_plugin_is_reported_and_needs_force() {
    let (host, shell) = with_files().await;
    shell.plugin("push green.wasm --activate").await.done();
    shell.plugin("diff green.wasm").await.done();
    let drops = PluginFile::read(&guest("chameleon"))
        .version("3.0.0")
        .migration("0002_more", "CREATE TABLE more (id TEXT); ALTER TABLE applied RENAME TO done");
    shell.write("drops.wasm", drops.bytes());
    let differs = shell.plugin("diff drops.wasm").await;
    differs.fails(6, "it renames applied");
    assert!(differs.stdout.contains("! migration   0002_more: "), "{}", differs.stdout);
    assert_eq!(
        shell.plugin("revisions chameleon --json").await.json().as_array().unwrap().len(),
        1,
        "the host keeps nothing of it"
    );
    shell.plugin("push drops.wasm --activate").await.fails(3, "it renames applied");
    assert_eq!(colour(&host).await, "green");

    shell.write("sick.wasm", chameleon("4.0.0", "red", "sick"));
    shell.plugin("push sick.wasm --activate --force").await.fails(3, "probe failed");
    shell.write("text.wasm", "no component");
    shell.plugin("push text.wasm").await.fails(3, "not WebAssembly");
    shell.write("hostile.wasm", std::fs::read(guest("hostile")).unwrap());
    shell.plugin("push hostile.wasm").await.fails(3, "needs the grant store");
    shell.plugin("activate chameleon 9.9.9+0").await.fails(1, "there is no revision 9.9.9+0");
    shell.plugin("rollback chameleon").await.fails(3, "no previous revision");
    assert_eq!(colour(&host).await, "green");
}

#[tokio::test]
async fn settings_are_shown_with_their_source_and_changed_one_by_one() {
    let (host, shell) = with_files().await;
    shell.plugin("push green.wasm --activate").await.done();
    let shown = shell.plugin("config chameleon").await;
    assert_eq!(shown.done(), "KEY     VALUE  SOURCE\ncolour  green  manifest\nmood    good   manifest\n");
    shell.plugin("config chameleon colour=red").await.done();
    assert_eq!(colour(&host).await, "red");
    let config = shell.plugin("config chameleon --json").await.json();
    assert_eq!(config["colour"], json!({ "value": "red", "source": "operator" }));
    assert_eq!(config["mood"], json!({ "value": "good", "source": "manifest" }));
    shell.plugin("config chameleon mood=good").await.done();
    assert_eq!(colour(&host).await, "red", "other values stay");
    shell.plugin("config chameleon --unset colour").await.done();
    assert_eq!(colour(&host).await, "green");
    shell.plugin("config chameleon size=1").await.fails(3, "declares no setting size");
    shell.plugin("config chameleon --unset size").await.fails(2, "size is not set");

    shell.plugin("limits chameleon queue=3 memory_mib=16").await.done();
    shell.plugin("limits chameleon --unset memory_mib").await.done();
    let limits = shell.plugin("limits chameleon --json").await.json();
    assert_eq!(limits["queue"], json!({ "value": 3, "source": "operator" }));
    assert_eq!(limits["memory_mib"], json!({ "value": 64, "source": "manifest" }));
    assert!(shell.plugin("show chameleon").await.done().contains("limit       queue = 3 (operator)"));
    shell.plugin("limits chameleon memory_mib=9999").await.fails(3, "memory_mib");

    shell.plugin("policy later --http-host api.example.com:443 --grant http").await.done();
    let policy = shell.plugin("policy later --json").await.json();
    assert_eq!(policy["policy"]["http_hosts"], json!(["api.example.com:443"]), "{policy}");
    shell.plugin("policy later --grant store --no-grant http --visitor true").await.done();
    let policy = shell.plugin("policy later").await;
    let text = policy.done();
    for line in ["policy of later, version 2", "  grants            store", "  visitor           true"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("  http hosts        api.example.com:443"), "other values stay: {text}");
    shell.plugin("remove later").await.done();
    shell.plugin("policy later").await.fails(1, "there is no plugin later");
    shell.plugin("policy chameleon --no-grant identity").await.fails(2, "no entry identity in grants");
    shell.plugin("policy chameleon --path api").await.fails(3, "must begin with /");
}

#[tokio::test]
async fn the_log_of_a_plugin_is_followed() {
    let (host, shell) = with_files().await;
    shell.plugin("push green.wasm --activate").await.done();
    let mut following = shell.command("logs chameleon -f --last 0").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let asking = async || {
        host.visitor().get("/chameleon").await;
        timeout(std::time::Duration::from_millis(200), lines.next_line()).await.ok().map(|line| line.unwrap().unwrap())
    };
    let line = eventually("a line", asking, Option::is_some).await.unwrap();
    assert!(line.contains(" INFO ") && line.contains("path=/chameleon") && line.contains("status=200"), "{line}");
    following.kill().await.unwrap();

    let mut following = shell.command("logs chameleon -f --last 0 --json").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let asking = async || {
        host.visitor().get("/chameleon").await;
        timeout(std::time::Duration::from_millis(200), lines.next_line()).await.ok().map(|line| line.unwrap().unwrap())
    };
    let line = eventually("a line", asking, Option::is_some).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["component"], "chameleon");
    host.terminate().await;
    let ended = timeout(PATIENCE, following.wait()).await.expect("the command ends with the host").unwrap();
    assert_eq!(ended.code(), Some(1));
    shell.plugin("logs nothing").await.fails(5, "cannot be reached");
}
