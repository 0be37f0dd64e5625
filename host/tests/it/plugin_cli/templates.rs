//! Every template of `new`: the commands that it prints lead to a plugin that
//! answers, has a setting, stores rows and handles its own event.

use super::{Ended, Shell, build, workspace};
use crate::support::{Setup, eventually};
use http::Method;
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

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

/// Runs the commands that `new` prints, and those of the README.
async fn serves(template: &str, name: &str) {
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
            Some(command) => run(&shell, &folder, command).await,
            None if command.starts_with("npm install") => install(&folder, "node_modules", js_tool(&folder)),
            None if command.contains("pip install") => install(&folder, ".venv", py_tool(&folder)),
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
