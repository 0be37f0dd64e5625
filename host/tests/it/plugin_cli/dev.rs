//! `dev`: each saved change is built and swapped in, and a failure changes nothing.

use super::{COMPILING, Shell, watch::printed, with_toolchain};
use crate::support::{Host, Setup, eventually};
use http::Method;
use std::{fs, path::Path, process::Stdio, time::Duration};

/// The first build compiles all packages of the plugin, on a machine that runs other tests.
const FIRST_BUILD: Duration = Duration::from_secs(300);
const GREETING: &str = r#"format!("{word}, {who}!\n")"#;

pub(super) fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{} has no {from:?}", file.display());
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

async fn answers(host: &Host, expected: &str) {
    let asking = async || host.visitor().get("/in-dev").await.text;
    eventually(expected, asking, |text| text == expected).await;
}

#[tokio::test]
async fn each_saved_change_is_built_and_swapped_in_and_the_log_is_beside_it() {
    let host = Setup::without_components().start().await;
    let shell = Shell::of(&host);
    shell.plugin("new in-dev").await.done();
    let source = shell.path("in-dev/src/lib.rs");
    let mut command = with_toolchain("dev", &shell.path("in-dev"));
    command.envs(shell.variables.iter().map(|(name, value)| (name, value)));
    let mut dev = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = printed(dev.stdout.take().unwrap());
    let complained = printed(dev.stderr.take().unwrap());
    let complaints = async |text: &str| complained.lock().unwrap().matches(text).count();

    // The host refuses the file, and gets it again when somebody saves.
    let refusal = "ticketing plugin policy in-dev --grant store";
    let refused = async {
        let _turn = COMPILING.lock().await;
        while complaints(refusal).await == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(FIRST_BUILD, refused).await.expect("the first build should end");
    shell.plugin("policy in-dev --grant store").await.done();
    edit(&source, GREETING, r#"format!("{word} to {who}!\n")"#);
    answers(&host, "Hello to world!\n").await;

    edit(&source, "fn greeting(", "fn greeting(broken");
    eventually("the failure", async || complaints("error: cargo failed").await, |count| *count == 1).await;
    answers(&host, "Hello to world!\n").await;
    edit(&source, "fn greeting(broken", "fn greeting(");
    edit(&source, "{word} to {who}!", "{word} again, {who}!");
    answers(&host, "Hello again, world!\n").await;
    let counts = [complaints(refusal).await, complaints("error: cargo failed").await];
    assert_eq!(counts, [1, 1], "a failure is not tried again: {}", complained.lock().unwrap());

    let logged = async || {
        host.visitor().send(Method::POST, "/in-dev/anna", None).await;
        said.lock().unwrap().contains("greeted anna")
    };
    eventually("the log of the plugin", logged, |logged| *logged).await;
    assert!(said.lock().unwrap().contains("is served, "), "{}", said.lock().unwrap());
    assert!(dev.try_wait().unwrap().is_none(), "the command goes on");
    dev.kill().await.unwrap();
}
