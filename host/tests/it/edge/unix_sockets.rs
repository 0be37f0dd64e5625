//! A host at a Unix socket.

use super::{PATIENCE, greeter};
use crate::support::{Host, Setup};
use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

/// The path of a socket in the folder of a test.
fn at(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("http.sock")
}

fn listening(setup: Setup, path: &Path) -> Setup {
    setup.listen(&format!("unix:{}", path.display()))
}

/// All that the host answers to a request that asks for the end of the connection.
pub(super) async fn answer(path: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    String::from_utf8(bytes).unwrap()
}

pub(super) const HELLO: &str = "GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

async fn greets(path: &Path) {
    let text = answer(path, HELLO).await;
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("\"world\"}"), "{text}");
}

#[tokio::test]
async fn a_unix_socket_serves_both_versions_of_http_and_ends_with_its_host() {
    let folder = tempfile::tempdir().unwrap();
    let path = at(&folder);
    let mut host = listening(greeter(), &path).start().await;
    assert_eq!(host.address(), format!("unix:{}", path.display()));
    greets(&path).await;
    let (mut client, connection) = h2::client::handshake(UnixStream::connect(&path).await.unwrap())
        .await
        .map(|(client, connection)| (client, tokio::spawn(connection)))
        .unwrap();
    let request = http::Request::get("http://localhost/hello").body(()).unwrap();
    let (status, _) = super::ask(&client, request).await.unwrap();
    assert_eq!(status, 200);
    let (answer, _) = client.send_request(http::Request::get("http://localhost/x").body(()).unwrap(), true).unwrap();
    assert_eq!(timeout(PATIENCE, answer).await.unwrap().unwrap().status(), 404);
    host.terminate().await;
    assert_eq!(host.ended().await.code(), Some(0), "{}", host.log());
    assert!(!path.exists(), "the host takes its file away");
    drop((client, connection));
}

#[tokio::test]
async fn the_settings_say_who_may_reach_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    for (setting, expected) in [("", 0o660), ("unix_mode = \"600\"\n", 0o600), ("unix_mode = \"0666\"\n", 0o666)] {
        let path = at(&folder);
        let mut host = listening(greeter().http(setting), &path).start().await;
        let data = fs::symlink_metadata(&path).unwrap();
        assert!(data.file_type().is_socket());
        assert_eq!(data.permissions().mode() & 0o7777, expected, "{setting}");
        host.kill().await;
    }
    let output = listening(greeter().http("unix_mode = \"rw\"\n"), &at(&folder)).output("check").await;
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("http.unix_mode"));
}

async fn sets_a_secure_cookie(trusted: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let _host = listening(Setup::new().http(trusted), &at(&folder)).start().await;
    let body = r#"{"email":"anna@example.com","password":"correct horse"}"#;
    let request = format!(
        "POST /api/users/signup HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https\r\n\
         connection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let text = answer(&at(&folder), &request).await;
    assert!(text.starts_with("HTTP/1.1 201 "), "{text}");
    text.contains("; Secure")
}

#[tokio::test]
async fn a_proxy_at_the_socket_is_believed_if_the_settings_trust_127_0_0_1() {
    assert!(!sets_a_secure_cookie("").await);
    assert!(!sets_a_secure_cookie("trusted_proxies = [\"10.0.0.0/8\"]\n").await);
    assert!(sets_a_secure_cookie("trusted_proxies = [\"127.0.0.1\"]\n").await);
}

#[tokio::test]
async fn a_socket_that_its_process_left_behind_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = at(&folder);
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let mut host = listening(greeter(), &path).start().await;
    greets(&path).await;
    host.kill().await;
    assert!(path.exists());
    host.start_again().await;
    greets(&path).await;
}

/// The message of a host that does not start.
async fn problem(path: &Path) -> String {
    let setup = listening(greeter(), path);
    let output = setup.output("serve").await;
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(!setup.data().exists(), "a start that fails leaves nothing behind");
    let line = message.lines().last().unwrap().to_owned();
    assert!(line.starts_with("error: ") && line.contains("(http.listen)") && line.ends_with("(--listen)"), "{line}");
    line
}

#[tokio::test]
async fn a_path_that_is_not_free_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = at(&folder);
    fs::write(&path, "precious").unwrap();
    assert!(problem(&path).await.contains("the path is no socket"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
    assert!(problem(&path).await.contains("the path is no socket"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(problem(&path).await.contains("the path is no socket"));
    assert!(problem(&path.join("missing/http.sock")).await.contains("make the folder"));

    let used = folder.path().join("used.sock");
    let first: Host = listening(greeter(), &used).start().await;
    assert!(problem(&used).await.contains("stop the program that uses the socket"));
    greets(&used).await;
    drop(first);
}
