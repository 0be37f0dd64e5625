//! Commands whose output nobody reads.

use super::free_port;
use crate::{
    plugin_cli::Shell,
    support::{Setup, eventually, guest},
};
use std::{fs::File, io::pipe, process::Stdio};
use tokio::process::Command;

/// A stream whose reader has left already.
fn closed() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

#[tokio::test]
async fn a_host_serves_although_nobody_reads_its_output() {
    for both in [false, true] {
        let address = format!("127.0.0.1:{}", free_port());
        let setup = Setup::without_components().admin_listen(&address);
        let log = setup.data().with_file_name("log");
        let mut command = setup.command("serve");
        command.stdout(closed());
        match both {
            true => command.stderr(closed()),
            false => command.stderr(File::create(&log).unwrap()),
        };
        let mut child = command.spawn().unwrap();
        let url = format!("http://{address}/readyz");
        let ready = async || reqwest::get(&url).await.is_ok_and(|reply| reply.status() == 200);
        eventually("the host serves", ready, |ready| *ready).await;
        let id = child.id().unwrap().to_string();
        assert!(Command::new("kill").arg(&id).status().await.unwrap().success());
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        assert!(!text.contains("panicked"), "{text}");
    }
}

/// The exit code and the error stream of a command without a reader.
async fn unread(mut command: Command) -> (Option<i32>, String) {
    let output = command.stdout(closed()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().await.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    (output.status.code(), text)
}

#[tokio::test]
async fn no_command_fails_because_nobody_reads_its_output() {
    let host = Setup::without_components().start().await;
    let shell = Shell::of(&host);
    let file = guest("hello").display().to_string();
    for arguments in [
        format!("push {file} --activate"),
        format!("check {file}"),
        "list".to_owned(),
        "list --json".to_owned(),
        "show hello".to_owned(),
        "revisions hello".to_owned(),
        "audit".to_owned(),
        "policy hello".to_owned(),
        "token list".to_owned(),
        "token create other --role view".to_owned(),
        "dead-letters list".to_owned(),
        "pause hello".to_owned(),
        "remove hello".to_owned(),
        "new another".to_owned(),
        "--help".to_owned(),
    ] {
        let (code, text) = unread(shell.command(&arguments)).await;
        assert_eq!(code, Some(0), "{arguments}: {text}");
    }
    // The work was done, and a failure is still a failure.
    assert_eq!(host.operator().get("/plugins/hello").await.status, 404);
    let (code, text) = unread(shell.command("show hello")).await;
    assert_eq!(code, Some(1), "{text}");
    let (code, text) = unread(host.setup.command("check")).await;
    assert_eq!(code, Some(0), "{text}");
}

#[tokio::test]
async fn output_that_cannot_be_written_is_a_failure() {
    let host = Setup::without_components().start().await;
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for mut command in [Shell::of(&host).command("list"), host.setup.command("check")] {
        let output = command.stdout(full()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().await.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("the standard output cannot be written: No space left"), "{text}");
    }
}
