//! The host process of `cargo xtask dev`, and the client that uploads components
//! to it. The client runs `ticketing plugin`, as an operator does in a shell.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::process::print_status;
use crate::workspace::Workspace;

/// It is longer than the time in which the host finishes its open work.
const STOP_LIMIT: Duration = Duration::from_secs(40);

/// A host process. [`Host::stop`] ends it. It is killed if this is dropped.
pub(super) struct Host {
    child: Child,
    pub(super) client: Client,
}

/// The client of the host's operator API.
#[derive(Clone)]
pub(super) struct Client {
    binary: PathBuf,
    start_output: watch::Receiver<StartOutput>,
}

/// The lines that the host prints at its start.
#[derive(Clone, Default)]
struct StartOutput {
    operators: Option<String>,
    token: Option<String>,
    is_complete: bool,
}

/// The used part of a verdict.
#[derive(Deserialize)]
struct Verdict {
    revision: String,
    against: Option<String>,
    problems: Vec<String>,
}

impl Host {
    /// Starts the host and shows its output.
    pub(super) fn start(workspace: &Workspace, binary: &Path, arguments: &[String]) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg("serve");
        if !arguments.iter().any(|argument| argument.starts_with("--data-dir")) {
            // The host of `cargo xtask run` must not use this directory, because uploads replace the bundled components.
            command.arg("--data-dir").arg(workspace.dev_data_folder());
        }
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let (sender, start_output) = watch::channel(StartOutput::default());
        let mut lines = BufReader::new(child.stdout.take().context("the host has no standard output")?).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                println!("{line}");
                sender.send_modify(|start_output| start_output.read_line(&line));
            }
        });
        Ok(Self { child, client: Client { binary: binary.to_owned(), start_output } })
    }

    /// Waits until the host ends by itself, and returns the reason.
    pub(super) async fn wait_for_end(&mut self) -> Error {
        match self.child.wait().await {
            Ok(status) => anyhow!("the host has ended ({status})"),
            Err(error) => error.into(),
        }
    }

    /// Stops the host. It may finish its open work within a time limit.
    pub(super) async fn stop(mut self) {
        let Some(id) = self.child.id() else { return };
        // In a terminal, Ctrl-C has already sent a signal to the host. A second signal does no harm.
        let signalled = Command::new("kill").args(["-TERM", &id.to_string()]).status().await;
        let ended = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await;
        if signalled.is_err() || ended.is_err() {
            print_status("The host did not end in time, and is killed");
        }
    }
}

impl Client {
    /// Waits until the host serves.
    pub(super) async fn wait_until_ready(&self) -> Result<()> {
        let mut start_output = self.start_output.clone();
        start_output.wait_for(|output| output.is_complete).await.context("the host has not started")?;
        Ok(())
    }

    /// Uploads a plugin file and activates it. Returns its revision, or `None` if
    /// this revision is already active. An incompatible revision is reported and
    /// activated too, because the host serves only its developer.
    pub(super) async fn swap_in(&self, name: &str, file: &Path) -> Result<Option<String>> {
        let verdict = self.run_plugin_command(vec!["push", "--json"], Some(file)).await?;
        let verdict: Verdict = serde_json::from_str(&verdict).context("cannot parse the verdict of the host")?;
        if verdict.against.as_ref() == Some(&verdict.revision) {
            return Ok(None);
        }
        for problem in &verdict.problems {
            print_status(&format!("{name}: {problem}"));
        }
        self.run_plugin_command(vec!["activate", name, &verdict.revision, "--force", "--json"], None).await?;
        Ok(Some(verdict.revision))
    }

    /// Runs `ticketing plugin` and returns its output. The error is its error line.
    async fn run_plugin_command(&self, arguments: Vec<&str>, file: Option<&Path>) -> Result<String> {
        let start_output = self.start_output.borrow().clone();
        let mut command = Command::new(&self.binary);
        command.arg("plugin").args(arguments).args(file);
        command.args(start_output.operators.iter().flat_map(|address| ["--address", address]));
        command.args(start_output.token.iter().flat_map(|file| ["--token-file", file]));
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
        if !output.status.success() {
            let line = String::from_utf8_lossy(&output.stderr);
            bail!("{}", line.trim().trim_start_matches("error: "));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl StartOutput {
    /// Reads a line of the form `NAME  VALUE`. The line `data` is the last one.
    fn read_line(&mut self, line: &str) {
        match line.split_once(char::is_whitespace).map(|(name, value)| (name, value.trim())) {
            Some(("operators", address)) => self.operators = Some(address.to_owned()),
            // If it is not a file, the token is in the environment, and `ticketing plugin` finds it there.
            Some(("token", file)) if Path::new(file).is_file() => self.token = Some(file.to_owned()),
            Some(("data", _)) => self.is_complete = true,
            _ => {}
        }
    }
}
