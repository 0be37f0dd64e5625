//! Every template of `new`: the commands that it prints lead to a plugin that
//! answers, has a setting, stores rows and handles its own event.

use super::{Ended, Shell, build, dev::edit, test, use_go, workspace};
use crate::support::{Host, Setup, eventually};
use http::Method;
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tokio::process::Command;

#[tokio::test]
async fn the_template_rust_makes_a_plugin_that_serves() {
    serves("rust", "in-rust").await;
}

#[tokio::test]
async fn the_template_rust_http_makes_a_plugin_that_serves() {
    serves("rust-http", "in-rust-http").await;
}

#[tokio::test]
async fn the_template_javascript_makes_a_plugin_that_serves() {
    serves("javascript", "in-javascript").await;
}

#[tokio::test]
async fn the_template_python_makes_a_plugin_that_serves() {
    serves("python", "in-python").await;
}

#[tokio::test]
async fn the_template_go_makes_a_plugin_that_serves_and_tells_why_it_panics() {
    let (host, shell) = serves("go", "in-go").await;
    let folder = shell.path("in-go");
    for module in ["", "platform", "platform/pkg"] {
        let mut go = Command::new("go");
        use_go(&mut go);
        let changed = go.args(["fmt", "./..."]).current_dir(folder.join(module)).output().await.unwrap();
        assert!(changed.status.success() && changed.stdout.is_empty(), "{changed:?}");
    }
    let cases = "\
who == \"nobody\":
\t\tpanic(\"there is nobody\")
\tcase who == \"echo\":
\t\treturn platform.Response{Status: 200, Body: request.Body}, nil
\tcase who == \"\":";
    edit(&folder.join("plugin.go"), "who == \"\":", cases);
    build(&folder).await.done();
    run(&shell, &folder, "push in-go.wasm --activate").await;
    // Go's garbage collector runs while it takes some of these bodies.
    let body = "a".repeat(1_000_000);
    for _ in 0..20 {
        let echo = host.visitor().send(Method::POST, "/in-go/echo", Some(json!(body))).await;
        assert_eq!((echo.status, echo.text.len()), (200, body.len() + 2), "{}", host.log());
    }
    assert_eq!(host.visitor().get("/in-go/nobody").await.status, 500);
    assert!(host.log().contains("panic: there is nobody"), "{}", host.log());
    assert_eq!(host.visitor().get("/in-go").await.text, "Hi, world!\n");
    let failures = shell.plugin("failures in-go").await;
    assert!(failures.done().contains("GET /in-go/{who}  trap, to blame: guest"), "{failures:?}");
}

/// Runs the commands that `new` prints, and those of the README.
async fn serves(template: &str, name: &str) -> (Host, Shell) {
    let host = Setup::without_components().start().await;
    let shell = Shell::of(&host);
    let next = shell.plugin(&format!("new {name} --template {template}")).await;
    let folder = shell.path(name);
    for command in next.done().lines().skip(1).map(str::trim) {
        match command.strip_prefix("ticketing plugin ") {
            Some("build") => {
                let built = build(&folder).await;
                let file = folder.join(format!("{name}.wasm"));
                let (first, second) = built.done().split_once('\n').unwrap();
                assert!(first.starts_with(&format!("{name} 0.1.0 is in {} (", file.display())), "{first}");
                assert_eq!(second.trim_end(), format!("next: ticketing plugin push {} --activate", file.display()));
            }
            Some("test") => {
                let tested = test(&folder).await;
                assert!(tested.done().ends_with("\n1 test passed\n"), "{}", tested.stdout);
            }
            Some(command) => run(&shell, &folder, command).await,
            None if command.starts_with("npm install") => install_npm_packages(&folder),
            None if command.contains("pip install") => install_pip_packages(&folder),
            None => assert!(command.starts_with("cd ") || command.starts_with("python3 -m venv"), "{command}"),
        }
    }
    let visitor = host.visitor();
    assert_eq!(visitor.get(&format!("/{name}")).await.text, "Hello, world!\n");
    let anna = format!("/{name}/anna");
    assert_eq!(visitor.get(&anna).await.text, "anna: said 0, heard 0\n");
    assert_eq!(visitor.send(Method::POST, &anna, None).await.text, "Hello, anna!\n");
    let counted = "anna: said 1, heard 1\n";
    eventually(counted, async || visitor.get(&anna).await.text, |text| text == counted).await;
    if has_output(&folder.join(format!("{name}.wasm"))) {
        assert!(host.log().contains("greeted anna"), "the output is in the log");
    }
    run(&shell, &folder, &format!("config {name} greeting=Hi")).await;
    assert_eq!(visitor.get(&format!("/{name}")).await.text, "Hi, world!\n");
    (host, shell)
}

/// Runs a command in the folder of the plugin. It has no time limit, because an
/// interpreter takes long to compile.
async fn run(shell: &Shell, folder: &Path, command: &str) {
    let output = shell.command(command).current_dir(folder).output().await.unwrap();
    Ended::of(&output).done();
}

/// Whether the plugin can write to its log. Without the target wasm32-wasip2,
/// `println!` does nothing.
fn has_output(file: &Path) -> bool {
    let bytes = fs::read(file).unwrap();
    ["wasi:logging/", "wasi:cli/"].iter().any(|name| bytes.windows(name.len()).any(|part| part == name.as_bytes()))
}

/// Does the work of `npm install` in the folder of a plugin.
pub(super) fn install_npm_packages(folder: &Path) {
    install(folder, "node_modules", js_tool(folder));
}

/// Does the work of `pip install` in the folder of a plugin.
pub(super) fn install_pip_packages(folder: &Path) {
    install(folder, ".venv", py_tool(folder));
}

/// Puts the tools that `cargo xtask` has installed where the author would install them.
fn install(folder: &Path, name: &str, tools: PathBuf) {
    assert!(tools.is_dir(), "{} is missing: `cargo xtask test` makes it", tools.display());
    symlink(tools, folder.join(name)).unwrap();
}

fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("tools")
}

fn js_tool(folder: &Path) -> PathBuf {
    let package: Value = serde_json::from_str(&fs::read_to_string(folder.join("package.json")).unwrap()).unwrap();
    let example = fs::read_to_string(workspace().join("examples/javascript/package.json")).unwrap();
    let example: Value = serde_json::from_str(&example).unwrap();
    assert_eq!(package["devDependencies"], example["devDependencies"]);
    let version = package["devDependencies"]["@bytecodealliance/componentize-js"].as_str().unwrap();
    tools().join(format!("componentize-js-{version}/node_modules"))
}

fn py_tool(folder: &Path) -> PathBuf {
    let requirements = fs::read_to_string(folder.join("requirements.txt")).unwrap();
    tools().join(requirements.trim().replace("==", "-"))
}
