//! `ticketing plugin`, as a script meets it: what it prints and how it ends.

mod connections;
mod guide;
mod hosted;
mod offline;
mod watching;

use crate::support::{ADMIN_TOKEN, Host, PATIENCE};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

/// Somebody at a shell, in a folder of their own and with nothing set.
struct Shell {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Shell {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// An operator of this host.
    fn of(host: &Host) -> Self {
        Self::at(host).with("TICKETING_ADMIN_TOKEN", ADMIN_TOKEN)
    }

    /// Somebody who knows where the host is.
    fn at(host: &Host) -> Self {
        Self::new().with("TICKETING_ADMIN_URL", &address(host))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// `ticketing plugin` with these words.
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ticketing"));
        command.env_clear().current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        command.env("HOME", self.folder.path()).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.arg("plugin").args(arguments.split_whitespace());
        command
    }

    async fn plugin(&self, arguments: &str) -> Ended {
        let output = timeout(PATIENCE, self.command(arguments).output());
        Ended::of(&output.await.unwrap_or_else(|_| panic!("{arguments}: it should have ended")).unwrap())
    }
}

/// Where the operators of a host are served.
fn address(host: &Host) -> String {
    format!("http://{}", host.operators_address())
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code().unwrap(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// It did what it was told; what it printed.
    #[track_caller]
    fn done(&self) -> &str {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        &self.stdout
    }

    /// It did what it was told, and printed JSON.
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(self.done()).unwrap_or_else(|_| panic!("not JSON: {}", self.stdout))
    }

    /// It ended with this code and one line that has this text.
    #[track_caller]
    fn fails(&self, code: i32, reason: &str) {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "one line: {}", self.stderr);
        assert!(self.stderr.contains(reason), "{reason}: {}", self.stderr);
    }
}

/// Compiles a new plugin's folder as the guide says, with what the workspace's
/// own components are compiled with, and returns the module.
async fn compile(folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // The versions that the workspace has, so that nothing is downloaded for it.
    std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["run", "--quiet", "--package", "xtask", "--", "compile"]).arg(folder);
    let output = cargo.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap().replace('-', "_");
    target.join("guests/outside/wasm32-unknown-unknown/release").join(format!("{name}.wasm"))
}
