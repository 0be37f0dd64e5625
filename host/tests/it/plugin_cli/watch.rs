//! `watch`: each build is swapped in when its file is saved.

use super::Shell;
use crate::support::{Host, Setup, chameleon, eventually};
use std::{
    fs,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Collects the output of a command.
pub(super) fn printed(stream: impl AsyncRead + Unpin + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let so_far = text.clone();
    let mut lines = BufReader::new(stream).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let mut text = so_far.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
        }
    });
    text
}

/// Saves a file as a compiler does: writes another file and renames it.
fn save(shell: &Shell, content: &[u8]) {
    let unfinished = shell.write("unfinished", content);
    fs::rename(unfinished, shell.path("chameleon.wasm")).unwrap();
}

async fn becomes(host: &Host, colour: &str) {
    let asking = async || host.visitor().get("/chameleon").await.text;
    eventually(colour, asking, |text| text.contains(colour)).await;
}

#[tokio::test]
async fn each_build_is_swapped_in_and_a_broken_one_changes_nothing() {
    let host = Setup::without_components().start().await;
    let shell = Shell::of(&host);
    shell.plugin("policy chameleon --grant store").await.done();
    save(&shell, &chameleon("1.0.0", "green", "good"));
    let mut command = shell.command("watch chameleon.wasm --activate");
    let mut watching = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = printed(watching.stdout.take().unwrap());
    let complained = printed(watching.stderr.take().unwrap());
    becomes(&host, "green").await;
    save(&shell, &chameleon("1.0.0", "red", "good"));
    becomes(&host, "red").await;

    for (content, complaint) in
        [(b"half a file".to_vec(), "not WebAssembly"), (chameleon("1.0.0", "blue", "sick"), "probe failed")]
    {
        save(&shell, &content);
        let text = async || complained.lock().unwrap().clone();
        eventually(complaint, text, |text| text.contains(complaint)).await;
        becomes(&host, "red").await;
    }
    // The command does not send a refused file again before somebody saves it.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let errors = async || complained.lock().unwrap().matches("error: ").count();
    assert_eq!(errors().await, 2, "{}", complained.lock().unwrap());
    save(&shell, &chameleon("1.0.0", "blue", "sick"));
    eventually("the saved file is sent", errors, |errors| *errors == 3).await;
    fs::remove_file(shell.path("chameleon.wasm")).unwrap();
    save(&shell, &chameleon("1.0.0", "blue", "good"));
    becomes(&host, "blue").await;
    let lines = async || said.lock().unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    let lines = eventually("one line for each build", lines, |lines| lines.len() == 3).await;
    assert!(
        lines.iter().all(|line| line.contains("is served, ") && line.ends_with("ms after it was saved")),
        "{lines:?}"
    );
    assert!(watching.try_wait().unwrap().is_none(), "the command goes on");
    watching.kill().await.unwrap();
}
