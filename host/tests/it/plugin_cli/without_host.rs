//! Commands that need no host.

use super::{Shell, compile};
use crate::support::{PluginFile, guest};

#[tokio::test]
async fn a_new_plugin_is_compiled_packed_and_passes_the_check() {
    let shell = Shell::new();
    let next = shell.plugin("new off-line").await;
    assert!(next.done().contains("ticketing plugin push off-line.wasm --activate"), "{}", next.stdout);
    let module = compile(&shell.path("off-line")).await;
    let packed = shell.plugin(&format!("pack {} --manifest off-line/plugin.toml", module.display())).await;
    assert!(packed.done().starts_with("off-line 0.1.0 is in off-line.wasm"), "{}", packed.stdout);
    let checked = shell.plugin("check off-line.wasm").await;
    assert!(checked.done().contains("GET /off-line/{who}"), "{}", checked.stdout);
    assert!(checked.stdout.ends_with("\na host can run it\n"), "{}", checked.stdout);
    let checked = shell.plugin("check off-line.wasm --json").await.json();
    assert_eq!(checked["plugin"], "off-line");
    assert_eq!(
        checked["imports"].as_array().unwrap().len(),
        5,
        "the component has no import that it does not use: {checked}"
    );
}

#[tokio::test]
async fn a_build_says_what_is_missing_in_one_line() {
    let shell = Shell::new().with("PATH", "/no/programs");
    shell.plugin("build").await.fails(2, ". has no plugin.toml: name the folder of a plugin");
    shell.write("plugin.toml", "name = 'here'\nversion = '1.0.0'");
    shell.plugin("build").await.fails(2, "has no Cargo.toml, package.json, go.mod, src/app.py or app.py");
    // The shell finds no programs.
    shell.write("app.py", "");
    shell.plugin("build").await.fails(1, "componentize-py is not installed: run `python3 -m venv .venv`");
    shell.write("go.mod", "module here");
    shell.plugin("build").await.fails(1, "go is not installed: install Go 1.25 or later, see go.dev/dl");
    shell.write("package.json", "{}");
    shell.plugin("build").await.fails(1, "the packages of package.json are missing: run `npm install` in .");
    shell.write("node_modules/here", "");
    shell.plugin("build").await.fails(1, "npm is not installed: install Node.js");
    shell.write("Cargo.toml", "");
    shell.plugin("build").await.fails(1, "cargo is not installed: install Rust with rustup");
    assert_eq!(shell.plugin("new other --template cobol").await.code, 2);
}

#[tokio::test]
async fn commands_without_a_host_ignore_its_settings() {
    let shell = Shell::new().with("TICKETING_NONSENSE", "1").with("TICKETING_LISTEN", "nowhere");
    shell.plugin("new fine").await.done();
    shell.plugin(&format!("check {}", guest("hello").display())).await.done();
}

#[tokio::test]
async fn a_file_that_no_host_would_run_does_not_pass_the_check() {
    let shell = Shell::new();
    shell.write("text.wasm", "#!/bin/sh");
    shell.plugin("check text.wasm").await.fails(6, "not WebAssembly");
    shell.write("cut.wasm", &std::fs::read(guest("hello")).unwrap()[..1_000]);
    shell.plugin("check cut.wasm").await.fails(6, "not valid");
    shell.plugin("check absent.wasm").await.fails(1, "absent.wasm");
}

#[tokio::test]
async fn a_file_is_checked_as_if_every_grant_were_given() {
    let shell = Shell::new();
    let checked = shell.plugin(&format!("check {} --json", guest("asking").display())).await.json();
    assert!(checked["capabilities"]["wanted"].as_array().unwrap().contains(&"http".into()), "{checked}");
    assert_eq!(checked["compatible"], true, "{checked}");
    let checked = shell.plugin(&format!("check {}", guest("asking").display())).await;
    assert!(checked.done().contains("http"), "{}", checked.stdout);
}

#[tokio::test]
async fn a_file_is_compatible_with_itself_and_not_with_what_it_breaks() {
    let shell = Shell::new();
    for name in ["hello", "chameleon", "asking", "hostile"] {
        let file = guest(name);
        let checked = shell.plugin(&format!("check {0} --against {0}", file.display())).await;
        assert!(checked.done().contains("compatible with 1.0.0+"), "{name}: {}", checked.stdout);
    }
    let old = PluginFile::read(&guest("chameleon"));
    shell.write("old.wasm", old.clone().migration("0002_more", "CREATE TABLE more (id TEXT)").bytes());
    let new = || old.clone().version("2.0.0").migration("0002_more", "CREATE TABLE more (id TEXT)");
    shell.write("adds.wasm", new().migration("0003_adds", "ALTER TABLE more ADD COLUMN n BIGINT").bytes());
    let checked = shell.plugin("check adds.wasm --against old.wasm --json").await.json();
    let applied: Vec<_> = checked["migrations"].as_array().unwrap().iter().map(|one| &one["applied"]).collect();
    assert_eq!(applied, [true, true, false], "{checked}");
    shell.write("drops.wasm", new().migration("0003_drops", "DROP TABLE more").bytes());
    shell.plugin("check drops.wasm --against old.wasm").await.fails(6, "it drops the TABLE more");
    let other = old.clone().version("2.0.0").migration("0002_more", "CREATE TABLE more (id TEXT, n BIGINT)");
    shell.write("changed.wasm", other.bytes());
    shell
        .plugin("check changed.wasm --against old.wasm")
        .await
        .fails(6, "migration 0002_more has changed since it was applied");
    // Only the author of a route can know who still uses it.
    shell.write("fewer.wasm", new().with("methods = [\"GET\", \"POST\"]", "methods = [\"GET\"]").bytes());
    let checked = shell.plugin("check fewer.wasm --against old.wasm").await;
    assert!(checked.done().contains("- route       POST /chameleon"), "{}", checked.stdout);
    assert!(checked.stdout.contains("compatible with 1.0.0+"), "{}", checked.stdout);
}

#[tokio::test]
async fn a_failed_pack_names_its_reason_and_leaves_no_file() {
    let shell = Shell::new();
    shell.write("module.wasm", b"\0asm\x01\0\0\0");
    shell.plugin("pack module.wasm").await.fails(1, "plugin.toml");
    shell.write("plugin.toml", "name = 'Loud'\nversion = '1.0.0'");
    shell.plugin("pack module.wasm").await.fails(1, "name must match");
    shell.write("plugin.toml", "name = 'quiet'\nversion = '1.0.0'");
    shell.plugin("pack module.wasm --migrations absent").await.fails(2, "absent is not a folder");
    shell.plugin("pack plugin.toml").await.fails(1, "neither a core module nor a component");
    assert!(!shell.path("quiet.wasm").exists());

    shell.write("migrations/0001_first.sql", "CREATE TABLE one (id TEXT)");
    shell.plugin("pack module.wasm").await.done();
    shell.plugin("pack quiet.wasm -o again.wasm").await.fails(1, "already contains a manifest");
    shell.plugin("check quiet.wasm").await.done();
}

#[tokio::test]
async fn the_exit_code_of_a_command_tells_a_script_what_happened() {
    let shell = Shell::new();
    shell.plugin("list --address http://127.0.0.1:1").await.fails(5, "http://127.0.0.1:1 cannot be reached");
    shell.plugin("list --address nowhere").await.fails(2, "is not the address of a host");
    shell.plugin("list --profile absent").await.fails(2, "there is no profile absent");
    shell.plugin("list --token-file absent").await.fails(1, "absent");
    assert_eq!(shell.plugin("limits hello memory_mib=much").await.code, 2);
    assert_eq!(shell.plugin("push hello.wasm --canary 100").await.code, 2);
    assert_eq!(shell.plugin("token create me --role king").await.code, 2);
    assert_eq!(shell.plugin("list --token secret").await.code, 2, "a token must not be an argument");
}
