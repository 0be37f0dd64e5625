//! The output and the exit codes of `ticketing plugin` and `ticketing apply`.

mod apply;
mod connections;
mod dev;
mod failures;
mod guide;
mod plugin_test;
mod registry;
mod templates;
mod watch;
mod with_host;
mod without_host;

use crate::support::{ADMIN_TOKEN, Host, PATIENCE, PATIENT_COMPILER};
use host_test_support::tool;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};
use tempfile::TempDir;
use tokio::{process::Command, sync::Mutex, time::timeout};

/// A shell in a new folder, with an empty environment.
pub(crate) struct Shell {
    pub(crate) folder: TempDir,
    variables: Vec<(String, String)>,
}

/// The exit code and the output of a command.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
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

    /// The shell of an operator: it knows the host's address and token.
    pub(crate) fn of(host: &Host) -> Self {
        Self::at(host).with("TICKETING_ADMIN_TOKEN", ADMIN_TOKEN)
    }

    /// A shell that knows the host's address alone.
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

    /// `ticketing plugin` with these arguments.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        self.program(&format!("plugin {arguments}"))
    }

    /// `ticketing` with these arguments.
    fn program(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ticketing"));
        command.env_clear().current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        command.env("HOME", self.folder.path()).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(arguments.split_whitespace());
        command
    }

    async fn plugin(&self, arguments: &str) -> Ended {
        self.host(&format!("plugin {arguments}")).await
    }

    /// Runs `ticketing` with these arguments to its end.
    pub(crate) async fn host(&self, arguments: &str) -> Ended {
        let output = timeout(PATIENCE, self.program(arguments).output());
        Ended::of(&output.await.unwrap_or_else(|_| panic!("{arguments}: the command should have ended")).unwrap())
    }
}

/// The URL of a host's operator listener.
fn address(host: &Host) -> String {
    format!("http://{}", host.operators_address())
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code().unwrap(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Asserts that the command succeeded. Returns its output.
    #[track_caller]
    pub(crate) fn done(&self) -> &str {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        &self.stdout
    }

    /// Asserts that the command succeeded. Returns its output as JSON.
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(self.done()).unwrap_or_else(|_| panic!("not JSON: {}", self.stdout))
    }

    /// Asserts that the command ended with this code and with one line that
    /// contains this text.
    #[track_caller]
    fn fails(&self, code: i32, reason: &str) {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "the error has one line: {}", self.stderr);
        assert!(self.stderr.contains(reason), "{reason}: {}", self.stderr);
    }
}

/// All plugins are compiled in one target folder, and two can have one name.
static COMPILING: Mutex<()> = Mutex::const_new(());

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// `cargo xtask` with these arguments.
fn xtask(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(workspace()).args(["run", "--quiet", "--package", "xtask", "--"]).args(arguments);
    cargo.stdin(Stdio::null()).kill_on_drop(true);
    cargo
}

/// Compiles a plugin's folder with the workspace's own toolchain for components.
/// Returns the module. It is where cargo would leave it.
pub(crate) async fn compile(folder: &Path) -> PathBuf {
    prepare(folder);
    let name = folder.file_name().unwrap().to_str().unwrap().replace('-', "_");
    let module = Path::new("wasm32-unknown-unknown/release").join(format!("{name}.wasm"));
    let _turn = COMPILING.lock().await;
    let output = xtask(&["compile"]).arg(folder).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("guests/outside").join(&module);
    let module = folder.join("target").join(module);
    std::fs::create_dir_all(module.parent().unwrap()).unwrap();
    std::fs::copy(made, &module).unwrap();
    module
}

/// `ticketing plugin` with this command for a plugin's folder, with the workspace's
/// own toolchain for components.
fn with_toolchain(command: &str, folder: &Path) -> Command {
    prepare(folder);
    let mut xtask = xtask(&["with-toolchain", "--", env!("CARGO_BIN_EXE_ticketing"), "plugin", command]);
    xtask.arg(folder);
    if folder.join("go.mod").is_file() {
        use_go(&mut xtask);
    }
    xtask
}

/// Lets a command find the Go of the tests and its cache. Go gets no network.
fn use_go(command: &mut Command) {
    let go = tool("go-1.27.3", "go");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(go.parent().unwrap().to_owned()).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(folders).unwrap());
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("go-cache");
    command.env("GOCACHE", cache).env("GOPROXY", "off");
}

/// Runs `ticketing plugin build` to its end.
async fn build(folder: &Path) -> Ended {
    let _turn = COMPILING.lock().await;
    Ended::of(&with_toolchain("build", folder).output().await.unwrap())
}

/// Runs `ticketing plugin test` to its end.
async fn test(folder: &Path) -> Ended {
    let _turn = COMPILING.lock().await;
    let mut command = with_toolchain("test", folder);
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&config, format!("[engine]\n{PATIENT_COMPILER}")).unwrap();
    command.arg("--config").arg(config.path());
    // The compiled code of interpreters stays for the next run, and not in the folder of the user.
    command.env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
    Ended::of(&command.output().await.unwrap())
}

/// Prepares a folder in Rust for a compilation beside others.
fn prepare(folder: &Path) {
    let source = folder.join("src/lib.rs");
    if source.is_file() {
        // The lock file of the workspace names versions that are already downloaded.
        std::fs::copy(workspace().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        // Cargo takes copies of one plugin in two folders for the same package. A new
        // source file makes it compile this copy, and not use the module of another.
        let source = std::fs::File::options().append(true).open(source).unwrap();
        source.set_modified(std::time::SystemTime::now()).unwrap();
    }
}
