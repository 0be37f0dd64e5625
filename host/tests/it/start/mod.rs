//! The start of a host when the machine does not give what the host needs, and
//! the end of a start. Every refusal is one line with the cause and the cure.

mod limits;
mod output;
mod places;
mod servers;
mod signals;

use crate::support::{PATIENCE, Setup};
use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};
use tokio::{process::Command, time::timeout};

/// Starts the host in a shell, after the commands of a script.
fn in_shell(setup: &Setup, script: &str) -> Command {
    wrapped(setup, "sh", &["-c", &format!("{script}\nexec \"$0\" \"$@\"")])
}

/// Starts the host with another program in front of it.
fn wrapped(setup: &Setup, program: &str, arguments: &[&str]) -> Command {
    let inner = setup.command("serve");
    let inner = inner.as_std();
    let mut command = Command::new(program);
    command.args(arguments).arg(inner.get_program()).args(inner.get_args());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(inner.get_current_dir().unwrap()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn ended(mut command: Command) -> Output {
    timeout(PATIENCE, command.output()).await.expect("the host should have ended by itself").unwrap()
}

/// The only line of a host that refused to start.
fn refusal(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(output.status.code().is_some_and(|code| code != 0), "{:?}: {text}", output.status);
    assert!(output.stdout.is_empty(), "nothing is announced");
    let is_log = |line: &&str| line.contains(" WARN ") || line.contains(" INFO ");
    let lines: Vec<&str> = text.lines().filter(|line| !is_log(line)).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("error: "), "{text}");
    lines[0].to_owned()
}

/// Whether this process may mount file systems in a namespace of its own.
fn may_mount() -> bool {
    let tried =
        std::process::Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    let may = tried.is_ok_and(|tried| tried.status.success());
    if !may {
        println!("this user may not mount file systems: the test sees less");
    }
    may
}

/// The names of the files in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A port that nobody uses at the moment.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn link_to(path: &Path, name: &str) -> PathBuf {
    let link = path.with_file_name(name);
    std::os::unix::fs::symlink(path, &link).unwrap();
    link
}
