//! A server program that ends with the process of the tests.

use std::{
    ffi::OsString,
    fs::File,
    net::TcpListener,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// A shell that starts the server and kills it when the shell's input closes.
/// The input closes with the process of the tests, even when that is killed.
const KEEPER: &str = r#""$@" & server=$!; cat >/dev/null; kill -9 $server 2>/dev/null; wait $server"#;

/// A running program. It is killed when this value is dropped.
#[derive(Debug)]
pub(crate) struct KeptProgram {
    keeper: Child,
    input: Option<ChildStdin>,
}

impl KeptProgram {
    /// Starts a program. Its output goes to the log.
    pub(crate) fn start(program: &Path, arguments: impl IntoIterator<Item = OsString>, log: File) -> Self {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let input = keeper.stdin.take();
        Self { keeper, input }
    }
}

impl Drop for KeptProgram {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.keeper.wait();
    }
}

/// A port of the loopback interface that nobody uses now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
