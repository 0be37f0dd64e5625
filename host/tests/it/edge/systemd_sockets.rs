//! Sockets that systemd opens before it starts the host, as sd_listen_fds(3) says.

use super::{
    PATIENCE, greeter,
    unix_sockets::{HELLO, answer},
};
use crate::support::Setup;
use std::{
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    process::{Output, Stdio},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// The variables that systemd sets for the process.
struct Activation {
    /// Descriptor 3 is `/dev/null` and the socket is descriptor 4, or the socket is 3.
    is_second: bool,
    count: &'static str,
    /// The shell's expression for the process that the sockets are for.
    process: &'static str,
    names: &'static str,
}

const ONE: Activation = Activation { is_second: false, count: "1", process: "$$", names: "ticketing.socket" };
const TWO: Activation = Activation { is_second: true, count: "2", process: "$$", names: "other:http" };

/// The command of a host that gets this socket.
fn command(setup: &Setup, socket: impl Into<OwnedFd>, activation: &Activation) -> Command {
    let host = setup.command("serve");
    let host = host.as_std();
    let Activation { is_second, count, process, names } = activation;
    let descriptors = if *is_second { "3</dev/null 4<&0" } else { "3<&0" };
    let script = format!(
        "exec {descriptors} </dev/null; export LISTEN_PID={process} LISTEN_FDS={count} LISTEN_FDNAMES={names}; exec \"$0\" \"$@\""
    );
    let mut command = Command::new("/bin/sh");
    command.env_clear().envs(host.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(host.get_current_dir().unwrap());
    command.args(["-c", &script]).arg(host.get_program()).args(host.get_args());
    command.stdin(Stdio::from(socket.into())).kill_on_drop(true);
    command
}

/// A host that has announced its address, and the address.
async fn started(mut command: Command) -> (Child, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(PATIENCE * 2, lines.next_line()).await.unwrap().unwrap().expect("the host should start");
    (child, line.strip_prefix("serving").unwrap().trim().to_owned())
}

async fn ended(mut command: Command) -> Output {
    timeout(PATIENCE * 2, command.output()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_request_that_comes_before_the_host_waits_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut early = tokio::net::TcpStream::connect(address).await.unwrap();
    early.write_all(HELLO.as_bytes()).await.unwrap();
    let setup = greeter().listen("systemd");
    let (_host, announced) = started(command(&setup, listener, &ONE)).await;
    assert_eq!(announced, format!("http://{address}"));
    let mut text = String::new();
    timeout(PATIENCE, early.read_to_string(&mut text)).await.unwrap().unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
}

#[tokio::test]
async fn a_unix_socket_of_systemd_is_chosen_by_its_name_and_stays_after_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let setup = greeter().listen("systemd:http");
    for _ in 0..2 {
        let (mut host, announced) = started(command(&setup, listener.try_clone().unwrap(), &TWO)).await;
        assert_eq!(announced, format!("http://unix:{}", path.display()));
        assert!(answer(&path, HELLO).await.starts_with("HTTP/1.1 200 OK"));
        let id = host.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        assert_eq!(timeout(PATIENCE, host.wait()).await.unwrap().unwrap().code(), Some(0));
        assert!(path.exists(), "the socket is systemd's");
    }
}

#[tokio::test]
async fn a_socket_that_is_not_there_or_does_not_listen_is_named_at_the_start() {
    let tcp = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
    let connection = || OwnedFd::from(UnixStream::pair().unwrap().0);
    let other_process = Activation { process: "1", ..ONE };
    let none = Activation { count: "0", ..ONE };
    let many = Activation { count: "99999", ..TWO };
    let no_number = Activation { count: "x", ..ONE };
    let missing = Activation { count: "9", names: "a:b:c:d:e:f:g:http:i", ..TWO };
    for (listen, socket, activation, expected) in [
        ("systemd", tcp(), &none, "systemd has opened no socket for this process"),
        ("systemd", tcp(), &no_number, "systemd has opened no socket for this process"),
        ("systemd", tcp(), &other_process, "systemd has opened no socket for this process"),
        ("systemd", tcp(), &TWO, "systemd has opened 2 sockets; choose one with systemd:NAME"),
        ("systemd:admin", tcp(), &TWO, "set FileDescriptorName=admin in the socket unit"),
        ("systemd:other", tcp(), &TWO, "is no stream socket; set ListenStream"),
        ("systemd:other", tcp(), &many, "is no stream socket; set ListenStream"),
        ("systemd:http", tcp(), &missing, "is no stream socket; set ListenStream"),
        ("systemd", connection(), &ONE, "does not listen; set Accept=no"),
        ("systemd", OwnedFd::from(std::fs::File::open("/dev/null").unwrap()), &ONE, "is no stream socket"),
    ] {
        let setup = greeter().listen(listen);
        let output = ended(command(&setup, socket, activation)).await;
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        let line = message.lines().last().unwrap();
        assert!(line.starts_with(&format!("error: cannot listen on {listen} (http.listen): ")), "{line}");
        assert!(line.contains(expected), "{expected} is not in {line}");
        assert!(!setup.data().exists(), "a start that fails leaves nothing behind");
    }
}

#[tokio::test]
async fn a_host_with_an_address_leaves_the_sockets_of_systemd_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (_host, announced) = started(command(&greeter(), listener, &ONE)).await;
    assert_ne!(announced, format!("http://{address}"));
}
